"""What a run leaves for people: one MLflow run and one scorecard page."""
