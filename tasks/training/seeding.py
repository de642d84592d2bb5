"""Random numbers that depend on where training stands, not on how it got there."""

import hashlib


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of a step on a process: 63 bits of SHA-256."""
    text = f"{seed}/{step}/{rank}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "little") >> 1


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed torch's generators for a step, so that a resumed run draws what an unbroken one does."""
    import torch

    torch.manual_seed(step_seed(seed, step, rank))
