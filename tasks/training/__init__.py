"""Training by contract: ``job.json`` in, checkpoint, ``result.json`` and a metrics stream out."""
