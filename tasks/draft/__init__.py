"""A first recipe, drafted from a look at the data."""
