"""Airflow operators that list queues, drain one of them, and summarize what was refused."""
