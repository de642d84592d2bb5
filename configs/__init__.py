"""The vocabulary: recipe schema, loading and settings. Imports nothing else of Temper."""
