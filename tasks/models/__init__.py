"""What stages ask of a model, wherever it runs."""
