"""Applies records to one PostgreSQL table in batches. Knows neither Redis nor Airflow."""
