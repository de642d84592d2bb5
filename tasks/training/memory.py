"""How much memory a training process takes at its peak, told beforehand from shapes alone."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from configs.training import Lora, Training
from tasks.models.identity import weight_files

RUNTIME = 600_000_000
"""Bytes of a process that has loaded the libraries and no model yet (measured, on a CPU)."""
ADAPTER, WHOLE, RECOMPUTED = 1.5, 1.2, 0.6
"""Bytes taken for each byte that the backward pass needs of every layer (measured, on a CPU).

What lives on lies between what was freed, so that the process grows by more than is kept: with an
adapter, and where all parameters learn. With checkpointing nearly nothing is kept, but the holes
around it add up all the same.
"""
CHUNK = 128
"""Tokens whose scores are held at a time: 128 x 49,152 in float32 are 25 MB."""
_ADAPTED = {
    "q_proj": ("h", "h"),
    "k_proj": ("h", "kv"),
    "v_proj": ("h", "kv"),
    "o_proj": ("h", "h"),
    "gate_proj": ("h", "f"),
    "up_proj": ("h", "f"),
    "down_proj": ("f", "h"),
}


class MemoryPlacement(NamedTuple):
    """Where a process trains.

    Attributes:
        gpu: On a GPU: attention keeps no scores there, and memory that is free is used again.
        shared_by: Processes that the weights are split over; 1 where each has all of them.
    """

    gpu: bool = False
    shared_by: int = 1


class Dimensions(NamedTuple):
    """The sizes of a Llama-like decoder.

    Attributes:
        layers: Blocks.
        hidden: Width.
        inner: Width inside the feed-forward part.
        heads: Attention heads.
        key_width: Width of all keys of a token (heads of keys times their width).
        vocabulary: Tokens there are.
        tied: Whether input and output embeddings are one.
    """

    layers: int
    hidden: int
    inner: int
    heads: int
    key_width: int
    vocabulary: int
    tied: bool

    @property
    def parameters(self) -> int:
        """Weights in all."""
        block = 2 * self.hidden**2 + 2 * self.hidden * self.key_width
        block += 3 * self.hidden * self.inner + 2 * self.hidden
        embeddings = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.layers * block + embeddings + self.hidden


class MemoryEstimate(NamedTuple):
    """Bytes at the peak, by what they are for."""

    runtime: int
    weights: int
    learning: int
    activations: int
    head: int

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(self)


def dimensions(folder: Path) -> Dimensions:
    """Return the sizes of the model in a folder, from its config."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    return dimensions_of(config.get_text_config())


def dimensions_of(config: Any) -> Dimensions:
    """Return the sizes that a model's config says."""
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    keys = getattr(config, "num_key_value_heads", None) or heads
    return Dimensions(
        config.num_hidden_layers,
        config.hidden_size,
        config.intermediate_size,
        heads,
        keys * width,
        config.vocab_size,
        bool(config.tie_word_embeddings),
    )


def adapter_parameters(sizes: Dimensions, lora: Lora) -> int:
    """Return the weights of an adapter: rank times width in and out, for each target."""
    widths = {"h": sizes.hidden, "kv": sizes.key_width, "f": sizes.inner}
    targets = _ADAPTED if lora.targets == "all-linear" else lora.targets
    pairs = [_ADAPTED[name] for name in targets if name in _ADAPTED]
    return sizes.layers * lora.rank * sum(widths[a] + widths[b] for a, b in pairs)


def estimate_memory(
    sizes: Dimensions,
    training: Training,
    dtype: str,
    longest: int,
    place: MemoryPlacement = MemoryPlacement(),  # noqa: B008
) -> MemoryEstimate:
    """Return the peak of a process, for methods sft and cpt; measured on a CPU alone.

    Weights; gradients and Adam's two moments in float32 for what learns; what the backward pass
    needs of the largest micro-batch (Korthikanti et al. 2022, section 4, counted again for
    grouped keys, gated feed-forward parts and frozen weights), with the holes it leaves; and the
    output layer, whose scores are made a chunk of tokens at a time.

    Args:
        sizes: The model's.
        training: The section.
        dtype: float32 or bfloat16: what is computed in.
        longest: Tokens of the longest row; a micro-batch is at least that large.
        place: Where it trains.
    """
    wide = 4 if dtype == "float32" else 2
    lora = training.adapter
    learning = adapter_parameters(sizes, lora) if lora else sizes.parameters
    weights = sizes.parameters * (wide if lora else 4) + (4 * learning if lora else 0)
    tokens = max(training.micro_batch_tokens, longest)
    moments = {"adamw": 8, "adafactor": 1, "sgd": 0}[training.optimiser]
    kept = _block(sizes, training, wide, 0 if place.gpu else longest)
    split = place.shared_by
    return MemoryEstimate(
        RUNTIME,
        weights // split,
        (4 + moments) * learning // split,
        tokens * _taken(sizes, training, kept, wide, place.gpu),
        _head(sizes, training, tokens, wide),
    )


def _taken(sizes: Dimensions, training: Training, kept: int, wide: int, gpu: bool) -> int:
    """Return the bytes a token that all layers take on the way to the backward pass."""
    if gpu:
        each = wide * sizes.hidden
        return (
            each * sizes.layers + kept if training.gradient_checkpointing else (kept * sizes.layers)
        )
    if training.gradient_checkpointing:
        return round(kept * sizes.layers * RECOMPUTED)
    return round(kept * sizes.layers * (ADAPTER if training.adapter else WHOLE))


def _block(sizes: Dimensions, training: Training, wide: int, scores: int) -> int:
    """Return the bytes a token that one layer keeps for the backward pass.

    Args:
        sizes: The model's.
        training: The section.
        wide: Bytes of a number.
        scores: Tokens whose attention scores are kept with each.
    """
    h, f, lora = sizes.hidden, sizes.inner, training.adapter
    # Into and out of both norms and attention; keys and values; gate, its activation, up.
    block = wide * (5 * h + 2 * sizes.key_width + 3 * f)
    # Probabilities of all heads against the row, in float32 and in the dtype; norms in float32.
    block += sizes.heads * scores * (4 if wide == 4 else 6) + (8 * h if wide == 2 else 0)
    everywhere = lora is None or lora.targets == "all-linear"
    if everywhere:
        block += wide * (h + f)  # what goes into the feed-forward part's weights
    if lora:
        block += 4 * lora.rank * len(_ADAPTED if everywhere else lora.targets)
    return block


def _head(sizes: Dimensions, training: Training, tokens: int, wide: int) -> int:
    """Return the bytes of the output layer at work; at the most every token is supervised."""
    if training.kl_to_base:  # the scores of both models at every token, and their logarithms
        return tokens * sizes.vocabulary * (wide + 4 + 4 + 4)
    # Scores as made, in float32, and their gradient; hidden states, their slopes and gradients.
    chunk = min(CHUNK, tokens) * sizes.vocabulary * (wide + 8) + 4 * wide * tokens * sizes.hidden
    # Where the layer learns, its gradient is summed in float32 beside the one kept.
    return chunk + (0 if training.adapter else sizes.vocabulary * sizes.hidden * (4 + wide))


def tensor_shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of each tensor by name, from the headers of a folder's safetensors."""
    found: dict[str, list[int]] = {}
    for file in weight_files(folder):
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        found |= {n: t["shape"] for n, t in header.items() if n != "__metadata__"}
    return found
