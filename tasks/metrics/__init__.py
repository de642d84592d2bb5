"""Metrics, their intervals and paired differences, from the per-item table alone."""
