"""The suites' sections, one file a family, each with the metrics it gives."""
