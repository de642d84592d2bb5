"""Files: locating, opening and reading records of any format, for sources, suites and models."""
