"""Airflow triggers: what starts a run, or resumes a task, when messages wait in queues."""
