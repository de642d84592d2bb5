"""Tasks of lm-evaluation-harness as suites, and its sample logs as items."""
