"""A model behind the seam, from what names it."""

import importlib.metadata
from typing import Any, assert_never

from configs.models import BedrockModel, Endpoint, SageMakerEndpoint
from tasks.artifacts import LocalModel
from tasks.code_digest import code_digest
from tasks.models.api import Engine
from tasks.models.identity import config_digest, stopping, template_digest
from tasks.models.local.loading import device, load_weights, positions_of, resolve_dtype
from tasks.models.local.tokenized import Transformer
from tasks.models.served.vllm import VllmFolder, open_vllm
from tasks.storage import digest_of
from tasks.text.chat import load_tokenizer

Evaluated = LocalModel | Endpoint | BedrockModel | SageMakerEndpoint
"""What can be evaluated: a folder of this machine (also adapted, or answered by vLLM), or a model
that is served elsewhere."""


def open_model(model: Evaluated, dtype: str = "auto") -> Engine:
    """Return a model behind the seam; weights are loaded when they are needed.

    Args:
        model: Prepared, a checkpoint, or the section of a model that is served.
        dtype: ``auto``, ``bfloat16`` or ``float32``; a served model has its own.

    Raises:
        SetupError: The folder's config can't be read, a key or a package is missing.
    """
    match model:
        case VllmFolder():
            return open_vllm(model, dtype)
        case LocalModel():
            return _local(model, dtype)
        case Endpoint():
            from tasks.models.served.openai import EndpointModel

            return EndpointModel(model)
        case BedrockModel():
            from tasks.models.served.bedrock import ConverseModel

            return ConverseModel(model)
        case SageMakerEndpoint():
            from tasks.models.served.aws import InvokedModel

            return InvokedModel(model)
        case _:
            assert_never(model)


def title(model: Evaluated) -> str:
    """Return what a model is called in messages."""
    return model.endpoint if isinstance(model, SageMakerEndpoint) else model.name


def _local(model: LocalModel, dtype: str) -> Engine:
    resolved = resolve_dtype(dtype)
    about = {
        "weights": model.digest,
        "tokenizer": model.tokenizer_digest,
        "config": config_digest(model.path),
        "stopping": stopping(model.path),
        "dtype": resolved,
        "device": device(),
        "backend": "transformers",
        "engine": code_digest("tasks.models.local.tokenized"),
        "versions": _versions(),
    }
    return Transformer(
        lambda: load_weights(model, resolved),
        load_tokenizer(model.path, model.chat),
        digest=digest_of(about),
        positions=positions_of(model.path),
        about={**about, "template": template_digest(model.path)},
    )


def _versions() -> dict[str, Any]:
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
