"""Evaluation: suites of items put to a model, every answer stored."""
