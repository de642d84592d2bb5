"""The page of a run: base and candidate side by side."""
