"""Receipts of models that are more than their folder: adapted, or answered by vLLM."""

from pathlib import Path

from configs.served import VllmModel
from tasks.artifacts import LocalModel


class Adapted(LocalModel):
    """A base model with an adapter merged into it in memory; ``path`` is the base's folder.

    Attributes:
        adapter: The adapter's folder.
        alpha: What its change is multiplied by.
    """

    adapter: Path
    adapter_digest: str
    base_digest: str
    alpha: float


class VllmFolder(LocalModel):
    """A model folder that vLLM answers for, with an adapter or without."""

    adapter: Path | None
    settings: VllmModel
