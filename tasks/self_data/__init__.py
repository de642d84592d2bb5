"""Self-made data: what the base model writes, to be trained on again."""
