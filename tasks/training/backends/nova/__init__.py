"""Amazon Nova's own customisation jobs."""
