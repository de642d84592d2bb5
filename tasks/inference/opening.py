"""A model behind the seam, from what names it."""

import importlib.metadata
from typing import Any

from tasks.artifacts import LocalModel
from tasks.inference.engine import Engine
from tasks.inference.identity import stopping
from tasks.inference.loading import device, load_model, positions_of, resolve_dtype
from tasks.inference.transformer import Transformer
from tasks.storage import digest_of, source_digest
from tasks.text.chat import load_tokenizer

_CODE = tuple(f"tasks.inference.{name}" for name in (
    "generation", "head", "loading", "prefix", "sampling", "scoring", "spans", "texts",
    "transformer",
))  # fmt: skip
"""Modules whose change may change what the same model answers to the same tokens."""


def open_model(model: LocalModel, dtype: str = "auto") -> Engine:
    """Return a model folder behind the seam; its weights are loaded when they are needed.

    Args:
        model: Prepared, or a checkpoint.
        dtype: ``auto``, ``bfloat16`` or ``float32``.

    Raises:
        SetupError: The folder's config can't be read.
    """
    resolved = resolve_dtype(dtype)
    decides = {
        "weights": model.digest, "tokenizer": model.tokenizer_digest,
        "stopping": stopping(model.path), "dtype": resolved, "device": device(),
        "backend": "transformers", "engine": source_digest(*_CODE), "versions": _versions(),
    }  # fmt: skip
    return Transformer(
        load_tokenizer(model.path), lambda: load_model(model, resolved), digest_of(decides),
        decides, positions_of(model.path),
    )  # fmt: skip


def _versions() -> dict[str, Any]:
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
