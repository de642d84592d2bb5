"""Whether an answer refuses, by rules, and how often those rules are wrong."""
