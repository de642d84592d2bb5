"""Models that are asked through a service."""
