"""Rewriting training targets in the base model's own words."""
