"""Which layout of documents a model gets right, asked of the model itself before its first step.

A document's loss may depend on nothing but the document. Attention keeps documents of one row
apart by their positions, where it knows of them; states of recurrent and convolutional layers run
on from one document into the next, and some models count positions or padding by themselves. No
list of model types is kept: two short documents are passed through the model that will train, on
its device and with its attention, and gradients say exactly what a loss depends on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch

from tasks.errors import TrainingError
from tasks.training.loader import Layout, LayoutChoice, Micro, MicroBatches, Row, Shape
from tasks.training.sft import supervised_logits, token_nats, unwrapped

LAYOUTS: tuple[Layout, ...] = ("packed", "sorted", "unpadded")
"""From the quickest to the one that is right for any model."""
PROBE_TOKENS = 32
"""Tokens of the longest document that a model is asked with."""
TOLERANCE = {torch.float32: 1e-3}
"""Nats a token that a document's loss may differ by, from where it stands alone."""
ROUNDED = 0.1
"""The same in 16 bits, where other shapes round otherwise; a wrong position costs whole nats."""


def choose_layout(
    model: Any, rows: Sequence[Row], wanted: Layout, pad_id: int, longest: int = 0
) -> LayoutChoice:
    """Return the quickest layout, from ``wanted`` on, in which documents don't see each other.

    Args:
        model: As it will train, on its device; it may be sharded, if every process asks alike.
        rows: A few documents of the mixture, of several lengths.
        wanted: The layout to begin with.
        pad_id: Token that fills up rows.
        longest: Tokens of the longest row that will be trained on.

    Raises:
        TrainingError: A token's loss depends on tokens after it: the model isn't causal.
    """
    config = unwrapped(model).config.get_text_config()
    if _stretches(config, longest):
        kind = config.rope_parameters["rope_type"]
        return LayoutChoice(
            "unpadded", f"its positions are stretched by the longest row ({kind}, {longest} tokens)"
        )
    documents = _documents(rows)
    training = model.training
    model.eval()
    try:
        alone = [_Measured.of(model, [row], "unpadded", pad_id) for row in documents]
        _check_causal(model, documents[0], pad_id)
        reasons: list[str] = []
        for layout in LAYOUTS[LAYOUTS.index(wanted) : -1]:
            fault, difference = _fault(model, documents, layout, pad_id, alone)
            if not fault:
                return LayoutChoice(layout, "; ".join(reasons), difference)
            reasons.append(f"{layout}: {fault}")
    finally:
        model.train(training)
    return LayoutChoice("unpadded", "; ".join(reasons))


def _stretches(config: Any, longest: int) -> bool:
    """Return whether a row's positions depend on the longest row beside it."""
    rope = getattr(config, "rope_parameters", None) or {}
    limit = rope.get("original_max_position_embeddings") or getattr(
        config, "max_position_embeddings", None
    )
    return rope.get("rope_type") in ("dynamic", "longrope") and longest > (limit or longest)


def _documents(rows: Sequence[Row]) -> list[Row]:
    """Return three documents of several lengths, longest first, with loss at every token."""
    usable = [row for row in rows if len(row["input_ids"]) > 1] or list(rows)
    found: list[Row] = []
    for i in range(3):
        ids = [int(t) for t in usable[i % len(usable)]["input_ids"]]
        # Of several lengths even where rows are alike: padding has to be met.
        ids = (ids * PROBE_TOKENS)[: max(PROBE_TOKENS - 9 * i, 2)]
        found.append({"row_id": str(i), "source": "probe", "input_ids": ids, "labels": ids})
    return found


class _Measured(NamedTuple):
    """A micro-batch as the model sees it.

    Attributes:
        nats: Summed loss of each document.
        leaks: Whether the loss of one depends on anything outside it.
    """

    nats: list[float]
    leaks: bool

    @classmethod
    def of(cls, model: Any, rows: Sequence[Row], layout: Layout, pad_id: int) -> "_Measured":
        (micro,) = MicroBatches(Shape(pad_id, 1 << 30, layout), ["probe"])(rows)["micro"]
        own = _own_positions(micro, rows)
        with _watched(model) as seen:
            micro = {name: value.to(_device(model)) for name, value in micro.items()}
            nats = _nats(model, micro)
        values, leaks = [], False
        for place in own:
            loss = nats[place[:, 1:].to(nats.device)].sum()
            values.append(float(loss.detach()))
            (slope,) = torch.autograd.grad(loss, seen[0], retain_graph=True, allow_unused=True)
            # Of what is masked the share is zero, not small. No number counts as a leak as well.
            outside = None if slope is None else slope.float()[~place.to(slope.device)]
            leaks = leaks or (outside is not None and not bool((outside == 0).all()))
        return cls(values, leaks)


def _nats(model: Any, micro: Micro) -> torch.Tensor:
    """Return the loss at every token but a row's first, (b, t - 1), zero where there is none."""
    logits, at = supervised_logits(model, micro)
    found = torch.zeros(micro["labels"][:, 1:].shape, dtype=logits.dtype, device=logits.device)
    return found.index_copy(1, at, token_nats(logits, micro, at))


def _own_positions(micro: Micro, rows: Sequence[Row]) -> list[torch.Tensor]:
    """Return for each document which places of a micro-batch are its own, (b, t)."""
    mask = micro.get("attention_mask")
    if mask is not None:
        order = torch.arange(len(mask))[:, None]
        return [(order == i) & mask.bool() for i in range(len(rows))]
    document = (micro["position_ids"] == 0).cumsum(1) - 1
    return [document == i for i in range(len(rows))]


@contextmanager
def _watched(model: Any) -> Iterator[list[torch.Tensor]]:
    """Give what the model's input embeddings return while it is called, with gradients."""
    seen: list[torch.Tensor] = []

    def keep(_: Any, __: Any, out: torch.Tensor) -> torch.Tensor:
        seen.append(out if out.requires_grad else out.detach().requires_grad_())
        return seen[-1] * 1  # a model may scale its embeddings in place

    handle = unwrapped(model).get_input_embeddings().register_forward_hook(keep)
    try:
        with torch.enable_grad():
            yield seen
    finally:
        handle.remove()


def _device(model: Any) -> torch.device:
    device: torch.device = next(model.parameters()).device
    return device


def _fault(
    model: Any, rows: Sequence[Row], layout: Layout, pad_id: int, alone: Sequence[_Measured]
) -> tuple[str, float]:
    """Return what is wrong with a layout, or nothing, and by how many nats a token it differs."""
    try:
        together = _Measured.of(model, rows, layout, pad_id)
    except (IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        return f"the model refuses it ({type(error).__name__}: {str(error)[:80]})", 0.0
    moved = [
        abs(a - b.nats[0]) / max(len(row["input_ids"]) - 1, 1)
        for a, b, row in zip(together.nats, alone, rows, strict=True)
    ]
    most = max(moved)
    if together.leaks:
        other = "its padding" if layout == "sorted" else "the documents beside it"
        return f"a document's loss depends on {other}", most
    if not most <= _tolerance(model):
        return f"a document's loss is {most:.3g} nats a token off", most
    return "", most


def _tolerance(model: Any) -> float:
    return TOLERANCE.get(_computed_in(model), ROUNDED)


def _computed_in(model: Any) -> torch.dtype:
    weight: torch.Tensor = unwrapped(model).get_input_embeddings().weight
    on = _device(model).type
    return torch.get_autocast_dtype(on) if torch.is_autocast_enabled(on) else weight.dtype


def _check_causal(model: Any, row: Row, pad_id: int) -> None:
    """Refuse a model in which a token's loss depends on tokens after it."""
    (micro,) = MicroBatches(Shape(pad_id, 1 << 30, "unpadded"), ["probe"])([row])["micro"]
    half = len(row["input_ids"]) // 2
    with _watched(model) as seen:
        moved = {name: value.to(_device(model)) for name, value in micro.items()}
        loss = _nats(model, moved)[:, :half].sum()
        (slope,) = torch.autograd.grad(loss, seen[0], allow_unused=True)
    if slope is not None and not bool((slope[:, half:] == 0).all()):
        raise TrainingError(
            "a token's loss depends on the tokens after it: the model doesn't write from left to "
            "right.",
            where=type(unwrapped(model)).__name__,
            fix="take a causal language model.",
        )
