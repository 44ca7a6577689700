"""Airflow hooks: the connections to PostgreSQL and Redis, and what a DAG author does with them."""
