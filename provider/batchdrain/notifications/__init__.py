"""Notifiers for Airflow."""
