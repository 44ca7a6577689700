"""The statements that the engine sends: the one place that builds SQL for records."""
