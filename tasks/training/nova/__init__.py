"""Amazon Nova: a recipe compiled to its own data mixing, submitted, watched and evaluated."""
