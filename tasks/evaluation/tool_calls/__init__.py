"""Calls of tools: read from an answer, compared with those that are due."""
