"""An adapter merged into its base tensor by tensor: one shard in memory, never a whole model.

The merged weight is ``W + scale * B A``, with ``scale = alpha / r`` (LoRA, Hu et al. 2021) or
``alpha / sqrt(r)`` (rsLoRA, Kalajdzievski 2023). Sums are in float32: adding a small update to
bfloat16 weights would round much of it away.
"""

import json
import math
import shutil
from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tasks.models.identity import INDEX, weight_files
from tasks.storage import write_text

SHARD_BYTES = 2 << 30
"""Largest shard that is written; as much is held in memory, beside one tensor in float32."""

_PREFIX = "base_model.model."
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "init_lora_weights": (True,),
}
"""What an adapter's settings have to be, where something else changes more than ``B A``."""
_HARMLESS = frozenset(
    {
        "auto_mapping",
        "base_model_name_or_path",
        "exclude_modules",
        "inference_mode",
        "layers_pattern",
        "layers_to_transform",
        "lora_alpha",
        "lora_dropout",
        "peft_version",
        "r",
        "revision",
        "target_modules",
        "task_type",
        "use_rslora",
    }
)
"""Settings that leave that form as it is; any other has to be unset."""


class _Plan(NamedTuple):
    """What is merged.

    Attributes:
        shell: The base without values; None where the base's own config describes what is written.
        names: Name -> shape and kind of every tensor to write.
        factors: Name of a weight -> ``A`` (r, in) and ``B`` (out, r) in float32.
        scale: Of their product.
    """

    shell: Any
    names: dict[str, Any]
    factors: dict[str, tuple[Any, Any]]
    scale: float


def merged_by_tensor(
    base: Path, adapter: Path, dtype: str, out: Path, shard_bytes: int = SHARD_BYTES
) -> bool:
    """Write the merged model into ``out``; return False, with nothing written, if it can't be.

    It can't where the adapter is more than a product for linear layers (DoRA, saved modules,
    embeddings), or the base's tensors are stored in another form than its layers have them.

    Args:
        base: Folder of the base model.
        adapter: Folder of the adapter.
        dtype: Of the weights that are written.
        out: Folder of the merged model: weights, ``config.json``, ``generation_config.json``.
        shard_bytes: Largest file of weights.
    """
    from safetensors import safe_open

    with ExitStack() as stack:
        stored: dict[str, Any] = {}
        for file in weight_files(base):
            opened = stack.enter_context(safe_open(file, framework="pt"))
            stored.update(dict.fromkeys(opened.keys(), opened))
        plan = _planned(base, adapter, stored)
        if plan is None:
            return False
        _write(plan, stored, dtype if plan.shell is not None else None, out, shard_bytes)
    if plan.shell is None:
        copy_files(base, out, ("config.json", "generation_config.json"))
    else:
        _describe(plan.shell, base, dtype, out)
    return True


PROCESSORS = (
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "video_preprocessor_config.json",
)
"""What a model of text and images has beside its tokenizer, as files of its folder."""


def copy_files(base: Path, out: Path, names: Iterable[str] = PROCESSORS) -> None:
    """Copy those files of a model folder that it has."""
    for name in names:
        if (base / name).is_file():
            shutil.copy2(base / name, out / name)


def add_stops(folder: Path, ids: Collection[int]) -> None:
    """Have a model folder's ``generation_config.json`` name these tokens among its stop tokens."""
    path = folder / "generation_config.json"
    settings = json.loads(path.read_text()) if path.is_file() else {}
    given = settings.get("eos_token_id")
    known = given if isinstance(given, list) else [] if given is None else [given]
    stops = [*known, *(token for token in ids if token not in known)]
    if stops != known:
        settings["eos_token_id"] = stops[0] if len(stops) == 1 else stops
        write_text(path, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def loads_part(config: dict[str, Any], loaded: str) -> bool:
    """Return whether a folder is of a larger model than the class that it is loaded as.

    Args:
        config: Its ``config.json``.
        loaded: Name of the class that transformers makes of it as a language model.
    """
    named = config.get("architectures") or [loaded]
    return named[0] != loaded and any(
        key.endswith("_config") and key != "text_config"
        for key in config
        if isinstance(config[key], dict) and key != "quantization_config"
    )


def _planned(base: Path, adapter: Path, stored: dict[str, Any]) -> _Plan | None:
    settings = json.loads((adapter / "adapter_config.json").read_text())
    config = json.loads((base / "config.json").read_text())
    if not _is_plain(settings) or "quantization_config" in config:
        return None
    shell = _shell(base)
    names, copies = _own(shell)
    factors = _factors(adapter, shell)
    if loads_part(config, type(shell).__name__):
        return _planned_beside(factors, stored, settings)
    whole = (
        names.keys() <= stored.keys()
        and not copies & stored.keys()
        and all(list(names[n].shape) == stored[n].get_slice(n).get_shape() for n in names)
    )
    if factors is None or not whole or not factors.keys() <= names.keys():
        return None
    scale = _scale(factors, settings)
    return None if scale is None else _Plan(shell, names, factors, scale)


def _scale(factors: dict[str, tuple[Any, Any]], settings: dict[str, Any]) -> float | None:
    """Return what products are multiplied by; None where it isn't one number."""
    rank = int(settings["r"])
    if any(a.shape[0] != rank for a, _ in factors.values()):
        return None
    below = math.sqrt(rank) if settings.get("use_rslora") else rank
    return float(settings["lora_alpha"] / below)


def _planned_beside(
    factors: dict[str, tuple[Any, Any]] | None, stored: dict[str, Any], settings: dict[str, Any]
) -> _Plan | None:
    """Return the plan for a language model inside a larger one, all of which is written again."""
    import torch

    scale = _scale(factors, settings) if factors else None
    if factors is None or scale is None:
        return None
    own = {name: stored_name(name, stored) for name in factors}
    if None in own.values() or len(set(own.values())) < len(own):
        return None
    moved = {str(own[name]): pair for name, pair in factors.items()}
    shapes = {n: stored[n].get_slice(n).get_shape() for n in stored}
    if any(shapes[n] != [b.shape[0], a.shape[1]] for n, (a, b) in moved.items()):
        return None
    kinds = {n: stored[n].get_tensor(n).dtype for n in stored}
    names = {n: torch.empty(shapes[n], dtype=kinds[n], device="meta") for n in stored}
    return _Plan(None, names, moved, scale)


def stored_name(name: str, stored: Collection[str]) -> str | None:
    """Return the one stored tensor that a layer's weight is, by the longest end of its name.

    None where there is none, or several.
    """
    parts = name.split(".")
    for start in range(len(parts) - 1):
        end = ".".join(parts[start:])
        found = [n for n in stored if n == end or n.endswith(f".{end}")]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _is_plain(settings: dict[str, Any]) -> bool:
    if any(settings.get(key) not in values for key, values in _PLAIN.items()):
        return False
    return all(
        _unset(key, value)
        for key, value in settings.items()
        if key not in _HARMLESS and key not in _PLAIN
    )


def _unset(key: str, value: Any) -> bool:
    # Sizes that belong to a switch are set in every adapter, and mean nothing while it is off.
    return not value or (
        isinstance(value, int | float | str) and not isinstance(value, bool) and key in _IDLE
    )


_IDLE = frozenset({"megatron_core", "qalora_group_size"})


def _shell(base: Path) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, trust_remote_code=False)


def _own(shell: Any) -> tuple[dict[str, Any], set[str]]:
    """Return the tensors with a name each, and the further names of those that are tied."""
    names, seen, copies = dict[str, Any](), set[int](), set[str]()
    for name, tensor in shell.state_dict(keep_vars=True).items():
        if id(tensor) in seen:
            copies.add(name)
        else:
            seen.add(id(tensor))
            names[name] = tensor
    return names, copies


def _factors(adapter: Path, shell: Any) -> dict[str, tuple[Any, Any]] | None:
    """Return ``A`` and ``B`` in float32 by the weight they change; None if there is more."""
    from safetensors.torch import load_file
    from torch.nn import Linear

    left = {n: t.float() for n, t in load_file(adapter / "adapter_model.safetensors").items()}
    linear = {name for name, module in shell.named_modules() if type(module) is Linear}
    found = {}
    for name in [n for n in left if n.endswith(".lora_A.weight")]:
        stem = name.removesuffix(".lora_A.weight")
        layer, other = stem.removeprefix(_PREFIX), f"{stem}.lora_B.weight"
        if layer in linear and other in left:
            found[f"{layer}.weight"] = (left.pop(name), left.pop(other))
    return None if left else found


def _write(
    plan: _Plan, stored: dict[str, Any], dtype: str | None, out: Path, shard_bytes: int
) -> None:
    """Write all tensors, each in the dtype, or in its own."""
    import torch
    from huggingface_hub import split_torch_state_dict_into_shards
    from safetensors.torch import save_file

    wanted = getattr(torch, dtype) if dtype else None
    shells = {
        n: t.to(wanted) if wanted and t.is_floating_point() else t for n, t in plan.names.items()
    }
    split = split_torch_state_dict_into_shards(shells, max_shard_size=shard_bytes)
    for file, names in split.filename_to_tensors.items():
        shard = {n: _merged(plan, n, stored[n].get_tensor(n), wanted) for n in names}
        save_file(shard, out / file, metadata={"format": "pt"})
        del shard
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        write_text(out / INDEX, json.dumps(index, indent=2, sort_keys=True) + "\n")


def _merged(plan: _Plan, name: str, tensor: Any, dtype: Any) -> Any:
    dtype = dtype or tensor.dtype
    if name in plan.factors:
        down, up = plan.factors[name]
        tensor = tensor.float() + (up @ down) * plan.scale
    return (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()


def _describe(shell: Any, base: Path, dtype: str, out: Path) -> None:
    from transformers import GenerationConfig

    shell.config.architectures, shell.config.dtype = [type(shell).__name__], dtype
    shell.config.save_pretrained(out)
    if (base / "generation_config.json").is_file():
        shell.generation_config = GenerationConfig.from_pretrained(base, local_files_only=True)
    shell.generation_config.save_pretrained(out)
