"""From clean sources to one exact, reproducible mixture: tokens, shares, quotas, plan, shards."""
