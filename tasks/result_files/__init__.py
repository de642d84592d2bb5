"""Results that other evaluation tools left, paired by item and judged by the same gates."""
