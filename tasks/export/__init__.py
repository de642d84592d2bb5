"""A mixture as other trainers read it: JSON lines, with its lock and its data card."""
