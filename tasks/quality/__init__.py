"""Quality: what is wrong with which rows, what is set aside, and how the rest is divided by use."""
