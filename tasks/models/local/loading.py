"""A model in memory: safetensors only, in evaluation mode, one at a time."""

import gc
import logging
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.models.adapters import Adapted
from tasks.models.identity import stopping
from tasks.models.local.shortcuts import rope_parameters
from tasks.models.support import read_config, unreadable

TorchModel = Any
"""A causal language model of transformers; the library ships no usable type for it."""

MOST_NAMED = 5
"""Tensors that an error names."""
Dtype = Literal["bfloat16", "float32"]
Attention = Literal["eager", "sdpa", "flash_attention_2"]


def resolve_dtype(dtype: str) -> Dtype:
    """Return the dtype that ``auto`` means here: bfloat16 where the hardware multiplies in it."""
    if dtype == "float32":
        return "float32"
    return "bfloat16" if dtype == "bfloat16" or _fast_bfloat16() else "float32"


def _fast_bfloat16() -> bool:
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16") or known.get("bf16"))


def device() -> str:
    """Return the device models run on: ``cuda`` where there is one, else ``cpu``."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def load_weights(model: LocalModel, dtype: str = "auto") -> TorchModel:
    """Return the model in evaluation mode; the last one loaded is kept for the next suite.

    Raises:
        SetupError: The receipt is of a tokenizer alone, or the folder can't be loaded.
    """
    if not model.has_weights:
        raise SetupError(
            "only the tokenizer of this model was fetched.",
            where=model.name,
            fix="prepare it with weights=True.",
        )
    adapter = (model.adapter, model.alpha) if isinstance(model, Adapted) else None
    # The digest is part of the key: other weights at the same path are another model.
    key = (str(model.path), model.digest, resolve_dtype(dtype), adapter)
    if key not in _HELD:
        # Two at a time may be more than fits.
        forget_model()
        _HELD[key] = _load(str(model.path), resolve_dtype(dtype), adapter)
    return _HELD[key]


_HELD: dict[tuple[str, str, Dtype, tuple[Path, float] | None], TorchModel] = {}


def most_positions(model: TorchModel) -> int | None:
    """Return how many tokens the model can see, where its config says so."""
    return _positions(model.config)


def positions_of(folder: Path) -> int | None:
    """Return how many tokens a model folder's config says the model can see.

    Raises:
        SetupError: The config can't be read.
    """
    return _positions(read_config(str(folder)))


def _positions(config: Any) -> int | None:
    """Return the limit of learned positions, or of what a rope is stretched to.

    ``yarn`` and ``dynamic`` stretch from the length before by a factor, and a config may name
    that length as its limit still. What ``linear`` starts from can't be told from a config.
    """
    config = config.get_text_config()
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    limit = next((int(n) for n in named if n and n > 0), None)
    if limit is None:
        return None
    stretched = [
        int((rope.get("original_max_position_embeddings") or limit) * rope["factor"])
        for rope in rope_parameters(config)
        if rope["rope_type"] in ("yarn", "dynamic") and rope.get("factor")
    ]
    return max([limit, *stretched])


def forget_model() -> None:
    """Free the model that is held, before another is loaded or a trainer starts."""
    if not _HELD:
        return
    _HELD.clear()
    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(path: str, dtype: Dtype, adapter: tuple[Path, float] | None) -> TorchModel:
    logging.getLogger("transformers").setLevel(logging.ERROR)
    import torch
    from transformers import GenerationConfig
    from transformers.utils import logging as progress

    progress.disable_progress_bar()
    config = read_config(path)
    model = load_whole(
        path,
        config,
        getattr(torch, dtype),
        choose_attention(config),
        generation_config=GenerationConfig(eos_token_id=stopping(Path(path)) or None),
    )
    if adapter is not None:
        from tasks.models.adapters import apply_adapter

        model = apply_adapter(model, *adapter)
    return model.to(device()).eval()


def load_whole(
    path: str | Path, config: Any, dtype: Any, attention: str, **more: Any
) -> TorchModel:
    """Return a folder's causal language model, all of its weights as the folder has them.

    transformers fills what a folder lacks with random numbers, and says so in a log line.

    Args:
        path: The folder.
        config: As read from it.
        dtype: Of torch.
        attention: Its implementation.
        more: Further options of ``from_pretrained``.

    Raises:
        SetupError: Weights are missing, have other shapes than the config says, or come in a form
            that can run code.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    try:
        model, found = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            dtype=dtype,
            attn_implementation=attention,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            # Those of other shapes are named below, and refused.
            ignore_mismatched_sizes=True,
            **more,
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
        raise unreadable(str(path), error) from error
    surplus = _surplus_layers(found["unexpected_keys"], config)
    for what, names in (
        ("lacks these tensors", sorted(found["missing_keys"])),
        ("has tensors of other shapes", sorted(str(m[0]) for m in found["mismatched_keys"])),
        ("has tensors of layers that its config has not", sorted(surplus)),
    ):
        if names:
            listed = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
            raise SetupError(
                f"the model folder {what} ({len(names):,}): {listed}.",
                where=str(path),
                fix="fetch the whole folder again, weights and config.json of one commit.",
            )
    return model


def _surplus_layers(names: Iterable[str], config: Any) -> list[str]:
    """Return those names that are of a layer which the config doesn't have."""
    layers = getattr(config.get_text_config(), "num_hidden_layers", None)
    found = [(name, re.search(r"\b(?:layers?|h|blocks)\.(\d+)\.", name)) for name in names]
    return [name for name, at in found if at and layers is not None and int(at[1]) >= layers]


def choose_attention(config: Any, *, flash: bool = False, fused: bool = True) -> Attention:
    """Return the quickest implementation of attention that is right for a model's classes.

    A class says itself which it has. Some that have sdpa would be wrong in it: it leaves out the
    cap that some models (Gemma 2) put on attention scores. FlashAttention is left out where a
    class wants a kernel of its own, which would be fetched from elsewhere, and for wide heads.

    Args:
        config: The model's, of transformers.
        flash: Whether FlashAttention may be used: there is a GPU, the package, and bfloat16.
        fused: Whether sdpa may be used.

    Raises:
        SetupError: transformers has no causal language model of that type.
    """
    classes, parts = _classes(config), [config, *_parts(config)]
    has_fused = all(kind._supports_sdpa for kind in classes)
    kernels = [kind._compatible_flash_implementations or ["flash_attention_2"] for kind in classes]
    given = [part.to_dict() for part in parts]
    heads = [values.get(name) for values in given for name in ("head_dim", "global_head_dim")]
    if config.model_type == "falcon" and config.alibi:
        # Its flash has no such bias, and its eager adds it twice (transformers 5.23).
        return "sdpa" if has_fused else "eager"
    if (
        flash
        and all(kind._supports_flash_attn for kind in classes)
        and all("flash_attention_2" in names for names in kernels)
        and all(width <= MOST_FLASH_WIDTH for width in heads if isinstance(width, int))
    ):
        return "flash_attention_2"
    capped = any(values.get("attn_logit_softcapping") for values in given)
    # On a CPU sdpa was 1.3 to 4 times as fast as eager at every length tried (64 to 2048).
    return "sdpa" if fused and has_fused and not capped else "eager"


MOST_FLASH_WIDTH = 256
"""Widest attention head that FlashAttention 2 has a kernel for."""


def _parts(config: Any) -> list[Any]:
    """Return the configs inside a config of several models (language, vision, audio)."""
    found = (getattr(config, name, None) for name in getattr(config, "sub_configs", {}))
    return [part for part in found if part is not None]


def _classes(config: Any) -> list[Any]:
    """Return the class of the causal language model, and those of the models in it."""
    from transformers import AutoModel, AutoModelForCausalLM

    known = AutoModelForCausalLM._model_mapping
    if type(config) not in known:
        raise SetupError(
            f"transformers has no causal language model of type {config.model_type}.",
            where=str(getattr(config, "_name_or_path", "")) or "model",
            fix="take a model that writes text from left to right.",
        )
    inside = AutoModel._model_mapping
    more = [inside[type(part)] for part in _parts(config) if type(part) in inside]
    return [known[type(config)], *more]
