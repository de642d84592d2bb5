"""Suites, a file a family: the recipe's section with the table of its metrics beside it."""
