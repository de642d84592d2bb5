"""Text shared by several stages: chat rows, rendering and masks, normal forms, keyed hashing."""
