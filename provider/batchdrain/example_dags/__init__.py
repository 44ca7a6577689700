"""Example Airflow DAGs."""
