"""Whether the model that is saved is the one that was trained, asked of both before it is kept."""

from pathlib import Path
from typing import Any, NamedTuple

from configs.training import Training
from tasks.errors import TrainingError
from tasks.training.models import attention_for, stored_dtype

CHECKED_TOKENS = 32
"""Tokens of the row that both models read."""
EXACT, ROUNDED = 1e-3, 0.01
"""Nats that the two may differ by: in float32, and where weights are rounded to 16 bits."""
SHARE = 0.2
"""Of what training moved the model by, the most that saving it may move it."""
FOUR_BITS = 0.5
"""Nats for an adapter that learnt on weights in 4 bits, and is merged into those they came from."""


class Trained(NamedTuple):
    """What a trained model says of a row, before it is saved.

    Attributes:
        ids: The row, as (1, t).
        logprobs: Of every token of the vocabulary, after each of the row, (t, v).
        moved: Mean KL divergence of the base from it, in nats a token; 0 without an adapter.
    """

    ids: Any
    logprobs: Any
    moved: float


class MergeCheck(NamedTuple):
    """How far a saved model is from the trained one.

    Attributes:
        difference: Mean KL(trained || saved) over the tokens of a row, in nats a token.
        moved: Mean KL(trained || base), where an adapter was trained.
    """

    difference: float
    moved: float


def ask_trained(trainer: Any, ids: list[int]) -> Trained:
    """Return what a trained model says of a row; every process of a sharded one has to ask."""
    import torch

    from tasks.training.sft import called

    model = trainer.accelerator.unwrap_model(trainer.model)
    row = torch.tensor([ids[:CHECKED_TOKENS]])
    places = torch.arange(row.shape[1])[None]
    on = trainer.args.device
    micro = {"input_ids": row.to(on), "position_ids": places.to(on)}
    model.eval()
    moved = 0.0
    with torch.no_grad(), trainer.compute_loss_context_manager():
        found = called(model, micro, 0)[0].float().log_softmax(-1).cpu()
        if hasattr(model, "disable_adapter"):
            with model.disable_adapter():
                base = called(model, micro, 0)[0].float().log_softmax(-1).cpu()
            moved = divergence(found, base)
    return Trained(row, found, moved)


def check_saved(folder: Path, training: Training, trained: Trained) -> MergeCheck:
    """Compare a saved model with what was trained.

    Raises:
        TrainingError: It is another model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from tasks.training.sft import called

    safe = {"trust_remote_code": False, "local_files_only": True}
    config = AutoConfig.from_pretrained(folder, **safe)
    on_cpu = training.model_copy(update={"kernels": "off"})
    saved = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=getattr(torch, stored_dtype(folder)),
        attn_implementation=attention_for(on_cpu, config),
        use_safetensors=True,
        **safe,
    ).eval()
    places = torch.arange(trained.ids.shape[1])[None]
    with torch.no_grad():
        logits = called(saved, {"input_ids": trained.ids, "position_ids": places}, 0)
    found = divergence(trained.logprobs, logits[0].float().log_softmax(-1))
    exact = training.dtype == "float32" and stored_dtype(folder) == "float32"
    most = (EXACT if exact else ROUNDED) + SHARE * trained.moved
    if training.quantization:
        most = max(most, FOUR_BITS)
    if not found <= most:
        raise TrainingError(
            f"the saved model isn't the one that was trained: they differ by {found:.3g} nats a "
            f"token on a row, and training moved it by {trained.moved:.3g}.",
            where=str(folder),
            fix="leave unusual layers out of training.adapter (targets, modules_to_save), or train "
            "without an adapter.",
        )
    return MergeCheck(found, trained.moved)


def divergence(ours: Any, theirs: Any) -> float:
    """Return the mean KL(ours || theirs) over positions, from log-probabilities (t, v)."""
    return float((ours.exp() * (ours - theirs)).sum(-1).mean())
