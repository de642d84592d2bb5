"""Whether a candidate may ship: paired, bounded, three verdicts."""
