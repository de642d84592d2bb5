"""How much memory a training process takes at its peak, told beforehand from shapes alone."""

from pathlib import Path
from typing import Any, NamedTuple

from configs.training import Lora, Training

RUNTIME = 650_000_000
"""Bytes of a process that has loaded the libraries and no model yet (measured, on a CPU)."""
_ADAPTED = {
    "q_proj": ("h", "h"), "k_proj": ("h", "kv"), "v_proj": ("h", "kv"), "o_proj": ("h", "h"),
    "gate_proj": ("h", "f"), "up_proj": ("h", "f"), "down_proj": ("f", "h"),
}  # fmt: skip


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


class Estimate(NamedTuple):
    """Bytes at the peak, by what they are for."""

    runtime: int
    weights: int
    learning: int
    activations: int
    logits: int

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
        config.num_hidden_layers, config.hidden_size, config.intermediate_size, heads,
        keys * width, config.vocab_size, bool(config.tie_word_embeddings),
    )  # fmt: skip


def adapter_parameters(sizes: Dimensions, lora: Lora) -> int:
    """Return the weights of an adapter: rank times width in and out, for each target."""
    widths = {"h": sizes.hidden, "kv": sizes.key_width, "f": sizes.inner}
    targets = _ADAPTED if lora.targets == "all-linear" else lora.targets
    pairs = [_ADAPTED[name] for name in targets if name in _ADAPTED]
    return sizes.layers * lora.rank * sum(widths[a] + widths[b] for a, b in pairs)


def estimate(sizes: Dimensions, training: Training, dtype: str, longest: int) -> Estimate:
    """Return the peak of a process that holds the whole model, for methods sft and cpt.

    Weights; gradients and Adam's two moments in float32 for what learns; what the backward pass
    needs of the largest micro-batch (Korthikanti et al. 2022, section 4, counted again for
    grouped keys, gated feed-forward parts and frozen weights); and logits at supervised positions.

    Args:
        sizes: The model's.
        training: The section.
        dtype: float32 or bfloat16: what is computed in.
        longest: Tokens of the longest row; a micro-batch is at least that large.
    """
    wide = 4 if dtype == "float32" else 2
    lora = training.adapter
    learning = adapter_parameters(sizes, lora) if lora else sizes.parameters
    weights = sizes.parameters * (wide if lora else 4) + (4 * learning if lora else 0)
    tokens = max(training.micro_batch_tokens, longest)
    moments = {"adamw": 8, "adafactor": 1, "sgd": 0}[training.optimiser]
    return Estimate(RUNTIME, weights, (4 + moments) * learning,
                    tokens * _activations(sizes, training, wide, longest),
                    _logits(sizes, tokens, wide))  # fmt: skip


def _activations(sizes: Dimensions, training: Training, wide: int, longest: int) -> int:
    """Return the bytes a token that are kept for the backward pass."""
    h, f = sizes.hidden, sizes.inner
    # Input, normed input, queries, repeated keys and values, attention's output; then gate, its
    # activation, up. Norms are in float32, and keep a copy where that isn't the dtype.
    block = wide * (6 * h + 3 * f) + (8 * h if wide == 2 else 0)
    if training.adapter is None or training.adapter.targets == "all-linear":
        block += wide * (2 * h + f)  # what goes into weights that learn
    # Scores of all heads against the row: softmax in float32, and in the dtype.
    block += sizes.heads * longest * (4 + (wide if wide == 2 else 4))
    if training.gradient_checkpointing:
        return wide * h * sizes.layers + block
    return block * sizes.layers


def _logits(sizes: Dimensions, tokens: int, wide: int) -> int:
    """Return the bytes of the vocabulary's scores: as made, in float32, normalised, their gradient.

    At the most every token is supervised.
    """
    return tokens * sizes.vocabulary * (wide + 4 + 4 + 4)
