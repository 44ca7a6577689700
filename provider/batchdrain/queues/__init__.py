"""Reads messages from Redis streams and lists. Knows neither PostgreSQL nor Airflow."""
