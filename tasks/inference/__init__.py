"""What several stages need of a model: its folder, its weights in memory, scores and answers."""
