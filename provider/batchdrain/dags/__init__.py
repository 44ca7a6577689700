"""Builds the DAGs that a deployment uses."""
