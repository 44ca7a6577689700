"""Reads messages from Redis streams. Knows neither PostgreSQL nor Airflow."""
