"""Pages that Airflow's API server shows beside its own."""
