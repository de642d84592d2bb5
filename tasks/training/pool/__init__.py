"""Training as a deployment run on a Prefect work pool, its data through TEMPER_STORE."""
