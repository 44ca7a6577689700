"""Drains Redis queues of INSERT / UPDATE / DELETE records into PostgreSQL in batches."""

__version__ = "0.1.0"
