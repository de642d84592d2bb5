"""A base model with a LoRA adapter on it, scaled by alpha."""

import json
from pathlib import Path
from typing import Any

from tasks.artifacts import LocalModel
from tasks.errors import SetupError
from tasks.storage import digest_of, file_digest

# The receipt of a model that is more than its folder: an adapter is merged into it.


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


WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_DECIDES = (
    "peft_type",
    "r",
    "lora_alpha",
    "use_rslora",
    "use_dora",
    "target_modules",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "bias",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
)
"""Keys of the adapter's config that decide what the weights do."""


def load_adapted(base: LocalModel, adapter: Path, alpha: float) -> Adapted:
    """Return the base with the adapter's change multiplied by ``alpha``.

    At 1 it is the model as trained, at 0 the base (Wortsman et al. 2022, WiSE-FT, on LoRA's
    update alone).

    Args:
        base: The model the adapter was trained on.
        adapter: Folder with adapter_config.json and adapter_model.safetensors.
        alpha: Factor.

    Raises:
        SetupError: The folder is no LoRA adapter, or changes more than alpha can scale: whole
            modules, biases, or the norm of weights (DoRA).
    """
    digest = adapter_digest(adapter)
    more = _unscaled(_config(adapter))
    if more and alpha != 1:
        raise SetupError(
            f"the adapter {more}, which can't be scaled.",
            where=str(adapter),
            fix="leave alpha at 1.",
        )
    return Adapted(
        path=base.path,
        name=f"{base.name}+{adapter.name}@{alpha:g}",
        tokenizer_digest=base.tokenizer_digest,
        chat=base.chat,
        adapter=adapter.resolve(),
        alpha=alpha,
        adapter_digest=digest,
        base_digest=base.digest,
        digest=digest_of({"base": base.digest, "adapter": digest, "alpha": alpha}),
    )


def adapter_digest(folder: Path) -> str:
    """Return the digest of an adapter's weights and of how they are applied.

    Raises:
        SetupError: The folder is no LoRA adapter.
    """
    config = _config(folder)
    decides = {key: config.get(key) for key in _DECIDES}
    decides["target_modules"] = sorted(config.get("target_modules") or [])
    return digest_of({"weights": file_digest(folder / WEIGHTS), "config": decides})


def adapter_rank(folder: Path) -> int:
    """Return the largest rank of an adapter's matrices.

    Raises:
        SetupError: The folder is no LoRA adapter.
    """
    config = _config(folder)
    return max(map(int, [config["r"], *(config.get("rank_pattern") or {}).values()]))


def apply_adapter(model: Any, adapter: Path, alpha: float) -> Any:
    """Return a loaded model with the scaled adapter merged into its weights."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer

    wrapped = PeftModel.from_pretrained(model, adapter)
    for layer in wrapped.modules():
        if isinstance(layer, LoraLayer):
            layer.scaling = {name: scale * alpha for name, scale in layer.scaling.items()}
    return wrapped.merge_and_unload()


def _unscaled(config: dict[str, Any]) -> str:
    """Return what an adapter changes beside LoRA's update, or nothing."""
    if whole := config.get("modules_to_save"):
        return f"replaces whole modules ({', '.join(whole)})"
    if config.get("use_dora"):
        return "sets the norm of its weights (use_dora)"
    bias = config.get("bias") or "none"
    return f"trains biases (bias: {bias})" if bias != "none" else ""


def _config(folder: Path) -> dict[str, Any]:
    lacking = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if lacking:
        raise SetupError(
            f"the adapter folder has no {lacking[0]}.",
            where=str(folder),
            fix="give a folder written by PEFT's save_pretrained.",
        )
    config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA":
        raise SetupError(
            f"the adapter is of type {config.get('peft_type')}, and only LoRA's "
            "change can be scaled.",
            where=str(folder),
            fix="give a LoRA adapter, or the merged model.",
        )
    return config
