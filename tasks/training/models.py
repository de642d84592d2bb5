"""The weights that are trained: loaded fresh, with an adapter or whole, and saved merged."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from configs.training import Lora, Training
from tasks.artifacts import LocalModel
from tasks.errors import TrainingError
from tasks.models.local.loading import Attention, choose_attention, load_whole, resolve_dtype
from tasks.training.placement import place_trainer


def load_base(model: LocalModel, training: Training, dtype: str | None = None) -> Any:
    """Return the base model, fresh: inference keeps one in memory, training changes it.

    With an adapter the frozen weights are in the training dtype and the adapter in float32. Where
    all parameters are trained they are in float32, and only computed with in the training dtype:
    an update is often smaller than what bfloat16 can tell apart.
    """
    import torch
    from transformers import AutoConfig

    safe = {"trust_remote_code": False, "local_files_only": True}
    config = AutoConfig.from_pretrained(model.path, **safe)
    wanted = dtype or (resolve_dtype(training.dtype) if training.adapter else "float32")
    # Weights that something is merged into are read as they are.
    packed = _four_bits(wanted) if training.quantization and dtype is None else {}
    kind = attention_for(training, config)
    loaded = load_whole(model.path, config, getattr(torch, wanted), kind, **packed)
    for name in beside_language(loaded):
        # What sees and hears stands still: there is nothing in a row of text to train it on.
        loaded.get_submodule(name).requires_grad_(False)
    return loaded


def _four_bits(dtype: str) -> dict[str, Any]:
    """Return what has weights loaded in 4-bit NormalFloat, computed with in the training dtype."""
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
    )
    return {"quantization_config": config, "device_map": {"": torch.cuda.current_device()}}


def beside_language(model: Any) -> list[str]:
    """Return the modules of a model of text and images that aren't of its language model.

    Empty for a model of text. Each is named once: nothing inside it is named again.
    """
    if not getattr(model.config, "sub_configs", None):
        return []
    kept = {id(m) for m in (model.get_decoder(), model.get_output_embeddings())}
    named = dict(model.named_modules())
    language = {name for name, module in named.items() if id(module) in kept}
    above = {name.rpartition(".")[0] for name in language}
    above |= {part for name in above for part in _prefixes(name)} | {""}
    found: list[str] = []
    for name in named:
        inside = any(name == root or name.startswith(f"{root}.") for root in [*language, *found])
        if not inside and name not in above:
            found.append(name)
    return found


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def attention_for(training: Training, config: Any) -> Attention:
    """Return the implementation of attention to train a model with here.

    Args:
        training: The section.
        config: The model's, of transformers.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    flash = (
        on_gpu
        and training.kernels == "auto"
        and importlib.util.find_spec("flash_attn") is not None
        and resolve_dtype(training.dtype) == "bfloat16"
    )
    # On a CPU the backward pass of fused attention costs more than the rest of a short row.
    return choose_attention(config, flash=flash, fused=on_gpu)


def liger(training: Training) -> bool:
    """Return whether Liger's kernels are used: on a GPU, where the package is."""
    import torch

    there = importlib.util.find_spec("liger_kernel") is not None
    return training.kernels == "auto" and there and torch.cuda.is_available()


def adapter_config(lora: Lora | None, model: Any = None) -> Any:
    """Return PEFT's configuration; None where all parameters are trained.

    Args:
        lora: The section.
        model: The base: of a model of text and images the language model alone is adapted.
    """
    if lora is None:
        return None
    from peft import LoraConfig

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    beside = beside_language(model) if model is not None else []
    if lora.targets == "all-linear" and model is not None:
        beside += unadaptable(model)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        target_modules=targets,
        modules_to_save=list(lora.modules_to_save) or None,
        exclude_modules=rf"({'|'.join(map(re.escape, beside))})(\..*)?" if beside else None,
        task_type="CAUSAL_LM",
    )


UNTOUCHED = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""Types of which PEFT adapts no ``out_proj`` and no ``conv1d``: fused kernels read them."""


def unadaptable(model: Any) -> list[str]:
    """Return the linear layers by name that an adapter on every layer has to leave out.

    Routers give more than a product, and a state-space mixer reads some layers' weights itself:
    what an adapter adds to their calls would not be what is merged into them.
    """
    import torch

    named = dict(model.named_modules())
    mixers = {name for name, module in named.items() if hasattr(module, "A_log")}
    read = {"dt_proj"} | ({"out_proj", "conv1d"} if model.config.model_type in UNTOUCHED else set())
    return [
        name
        for name, module in named.items()
        if isinstance(module, torch.nn.Linear)
        and (
            type(module).forward is not torch.nn.Linear.forward
            and "bitsandbytes" not in type(module).__module__
            or (name.rpartition(".")[0] in mixers and name.rpartition(".")[2] in read)
        )
    ]


def autocasts(training: Training) -> bool:
    """Return whether the forward pass is to be under autocast: float32 weights, bfloat16 products.

    Frozen bfloat16 weights with a plain adapter need none: every operation would ask what to cast,
    and find nothing to.
    """
    lora = training.adapter
    plain = lora is not None and not lora.dora and not lora.modules_to_save
    return resolve_dtype(training.dtype) == "bfloat16" and not plain


def quickened(training: Training, model: Any) -> Any:
    """Return the model with its adapter's layers in their short form, where they may have it."""
    from tasks.training.lora_forward import patch_lora_forward

    # A sharded parameter is whole only inside the layer that the wrapper knows.
    if training.adapter is not None and place_trainer(training.backend).sharding == "none":
        patch_lora_forward(model)
    return model


def gathered(training: Training, model: Any) -> dict[str, Any] | None:
    """Return a sharded model's whole weights by name, on the first process; None if it is whole.

    Every process has to call it; the others get nothing of it.
    """
    if place_trainer(training.backend).sharding == "none":
        return None
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return get_model_state_dict(
        model, options=StateDictOptions(full_state_dict=True, cpu_offload=True)
    )


def save_merged(
    model: LocalModel,
    training: Training,
    trained: Any,
    out: Path,
    whole: dict[str, Any] | None = None,
) -> None:
    """Write a whole model into ``out``, in the base's own dtype, and the adapter beside it.

    Args:
        model: The base.
        training: The section.
        trained: The model with what it learnt.
        out: A folder to make.
        whole: Its weights, where those in the model are sharded.
    """
    import torch
    from transformers import AutoConfig

    dtype = getattr(torch, stored_dtype(model.path))
    if training.adapter is None:
        if whole is not None:
            # A fresh model takes them: a sharded one can be saved only as it is.
            trained = load_base(model, training, "float32")
            trained.load_state_dict(whole)
        own = AutoConfig.from_pretrained(model.path, local_files_only=True, trust_remote_code=False)
        # Training switches the cache off; whoever answers with the model wants it.
        trained.config.use_cache = getattr(own, "use_cache", True)
        trained.to(dtype).save_pretrained(out)
        return
    from peft import PeftModel

    from tasks.training.merging import merged_by_tensor

    trained.save_pretrained(out / "adapter", safe_serialization=True, state_dict=whole)
    if merged_by_tensor(model.path, out / "adapter", stored_dtype(model.path), out):
        return
    # Merged in float32: adding a small update to bfloat16 weights would round much of it away.
    base = load_base(model, training, "float32")
    if changes_embeddings(training.adapter, base):
        untie(base)
    merged = PeftModel.from_pretrained(base, out / "adapter").merge_and_unload()
    merged.to(dtype).save_pretrained(out)


def changes_embeddings(lora: Lora, model: Any) -> bool:
    """Return whether an adapter changes the input or the output embeddings."""
    ends = [model.get_input_embeddings(), model.get_output_embeddings()]
    names = [name for name, module in model.named_modules() if any(module is end for end in ends)]
    given = () if isinstance(lora.targets, str) else lora.targets
    named = (*given, *lora.modules_to_save)
    return any(name == part or name.endswith(f".{part}") for name in names for part in named)


def untie(model: Any) -> None:
    """Give a model whose input and output embeddings are one a matrix for each.

    An adapter on one of them changes that one alone while it trains. Merged into the matrix that
    both are, it would change the other as well: another model than was trained.
    """
    import torch

    head, tokens = model.get_output_embeddings(), model.get_input_embeddings()
    if head is None or head.weight is not tokens.weight:
        return
    head.weight = torch.nn.Parameter(tokens.weight.detach().clone())
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False


def stored_dtype(folder: Path) -> str:
    """Return the dtype that a model folder's weights are stored in, by its config."""
    config = json.loads((folder / "config.json").read_text())
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def check_sharding(training: Training, model: Any) -> None:
    """Refuse to train unsharded what was to be sharded: Accelerate falls back without a word.

    Args:
        training: What was asked for.
        model: As Accelerate wrapped it.

    Raises:
        TrainingError: FSDP was asked for, and the model isn't wrapped by it.
    """
    wanted = place_trainer(training.backend).sharding
    kinds = {cls.__name__ for cls in type(model).__mro__}
    if wanted == "fsdp" and not kinds & {"FullyShardedDataParallel", "FSDPModule"}:
        raise TrainingError(
            f"sharding fsdp was asked for, and the model is held whole ({type(model).__name__}).",
            where="training.backend.sharding",
            fix="run on several GPUs, or set sharding: none.",
        )
