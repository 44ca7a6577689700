"""Airflow sensors that wait for messages in queues."""
