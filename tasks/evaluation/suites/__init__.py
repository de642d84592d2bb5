"""One file a kind of suite: its items, its prompts, its marks."""
