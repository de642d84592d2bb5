"""How much a test tries: less of it in ``make test`` than in ``make test-long``."""

from hypothesis import settings

USUAL = 100


def examples(count: int) -> int:
    """Return how many examples to look for where a test wants another number than the others.

    Args:
        count: What is worth it when the others look for a hundred.
    """
    return max(count * settings().max_examples // USUAL, 5)
