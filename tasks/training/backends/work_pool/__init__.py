"""Training jobs on a Prefect work pool."""
