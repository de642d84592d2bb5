"""A sweep: arms of one recipe, compared on dev items."""
