"""Attention on a CPU: over a prefix that rows share, kept once, and over each row's own tokens.

A query's attention over both is the mean of its attention over either, weighted by the sums of
their softmaxes (as in Hydragen, Juravsky et al. 2024). The prefix's part is then one product of
all rows' queries with one copy of its keys. Heads that share keys are more queries of one head,
and keys are padded to whole vector registers: half the time of torch's own on a short sequence.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface, DynamicCache

from tasks.models.local.loading import TorchModel
from tasks.models.local.spans import common

# Keys and values of tokens that several sequences begin with.

KeysAndValues = list[tuple[torch.Tensor, torch.Tensor]]
"""By layer, each (1, heads, tokens, width); empty where nothing is shared."""


def keys_and_values(model: TorchModel, prefix: Sequence[int]) -> KeysAndValues:
    """Return the keys and values of a prefix, computed once."""
    if not prefix:
        return []
    cache = DynamicCache()
    ids = torch.tensor([list(prefix)], device=model.device)
    model.get_decoder()(input_ids=ids, past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


def for_rows(prefix: KeysAndValues, rows: int) -> DynamicCache:
    """Return a cache in which every row begins with the prefix; it may be added to."""
    return DynamicCache(
        [(k.expand(rows, -1, -1, -1), v.expand(rows, -1, -1, -1)) for k, v in prefix]
    )


def shared_prefix(prompts: Sequence[list[int]], least: int) -> list[int]:
    """Return the tokens that all prompts begin with, short of the shortest one's last token.

    Args:
        prompts: Token ids.
        least: Fewer than these aren't worth sharing: the result is empty.
    """
    if len(prompts) < 2:
        return []
    # Of sorted sequences, the first and the last differ earliest.
    first, last = min(prompts), max(prompts)
    shared = min(common(first, last), min(map(len, prompts)) - 1)
    return first[:shared] if shared >= least else []


NAME = "temper"
LANES = 32
"""Keys are padded to a multiple: with 126 of them the kernel takes twice as long as with 128."""

KINDS = frozenset(
    {
        "gemma",
        "granite",
        "llama",
        "mistral",
        "olmo",
        "olmo2",
        "phi3",
        "qwen2",
        "qwen3",
        "smollm3",
    }
)
"""Model types whose attention is a softmax of scaled products and nothing more."""

Part = tuple[torch.Tensor, torch.Tensor]
"""An output, (.., tokens, width), and the logarithm of its softmax's sum, (.., tokens)."""


class _Seen(NamedTuple):
    """What each token sees.

    Attributes:
        prefix: Keys and values by layer, padded.
        ahead: Added to the scores of the prefix, where it is padded.
        own: Added to the scores of a row's own tokens.
        places: Token of each place of the rows, (rows, longest); padding names the last token.
        tokens: Place of each token.
    """

    prefix: list[tuple[torch.Tensor, torch.Tensor]]
    ahead: torch.Tensor | None
    own: torch.Tensor
    places: torch.Tensor
    tokens: torch.Tensor


_SEEN: ContextVar[_Seen] = ContextVar("seen")


def can_attend(model: TorchModel) -> bool:
    """Return whether the model's attention is one that ``attending`` computes, on a CPU."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return (
        model.device.type == "cpu"
        and config.model_type in KINDS
        and config._attn_implementation == "sdpa"
        and kinds == {"full_attention"}
        and not getattr(config, "sliding_window", None)
    )


@contextmanager
def attending(
    model: TorchModel, prefix: KeysAndValues, lengths: Sequence[int], seen: torch.Tensor
) -> Iterator[None]:
    """Let the forward pass inside take rows one after another as one, each after the prefix.

    Nothing is padded but inside attention, and there is neither a cache nor a mask to give.

    Args:
        model: One that ``can_attend``.
        prefix: By layer, each (1, heads, tokens, width); empty: there is none.
        lengths: Tokens of each row.
        seen: Which of its own tokens each token of a row sees, bool (rows or 1, longest, longest).
    """
    config = model.config.get_text_config()
    groups = config.num_attention_heads // config.num_key_value_heads
    padded = [(_padded(key), _padded(value)) for key, value in prefix]
    ahead = _ahead(prefix[0][0].shape[2], model.dtype) if prefix else None
    own = _added_to_padded(seen.repeat(1, groups, 1), model.dtype)[:, None]
    before = config._attn_implementation
    token = _SEEN.set(_Seen(padded, ahead, own, *_places(lengths)))
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
        _SEEN.reset(token)


def _places(lengths: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    size = torch.tensor(lengths)[:, None]
    place = torch.arange(max(lengths))[None]
    start = size.cumsum(0) - size
    return start + place.minimum(size - 1), (place < size).flatten().nonzero().flatten()


def _padded(keys: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(keys, (0, 0, 0, -keys.shape[2] % LANES))


def _ahead(tokens: int, dtype: torch.dtype) -> torch.Tensor | None:
    if tokens % LANES == 0:
        return None
    return _added_to_padded(torch.ones(1, 1, 1, tokens, dtype=torch.bool), dtype)


def _added_to_padded(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return added(torch.nn.functional.pad(seen, (0, -seen.shape[-1] % LANES)), dtype)


def added(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a mask as what is added to attention scores: every kind of attention takes that."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, torch.finfo(dtype).min)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention's output, (1, tokens, heads, width), and no weights."""
    seen, kinds = _SEEN.get(), key.shape[1]
    heads, tokens, width = query.shape[1:]
    query = query.reshape(kinds, heads // kinds, tokens, width)
    out, total = _over_own(query, key[0], value[0], seen, scaling)
    if seen.prefix:
        first, first_total = _over_prefix(query, seen, module.layer_idx, scaling)
        weight = torch.sigmoid(first_total.reshape(total.shape) - total)[..., None]
        out = torch.lerp(out, first.reshape(out.shape), weight.to(out.dtype))
    return out.reshape(1, heads, tokens, width).transpose(1, 2).contiguous(), None


def _over_own(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: _Seen, scaling: float | None
) -> Part:
    """Return each token's attention over its row: (heads of keys, queries a head, tokens, ..)."""
    kinds, groups, _, width = query.shape
    rows, longest = seen.places.shape
    own = _in_rows(query.reshape(kinds * groups, -1, width), seen.places)
    own = own.reshape(rows, kinds, groups * longest, width)
    key, value = (_padded(_in_rows(each, seen.places)) for each in (key, value))
    out, total = _flash(own, key, value, seen.own, scaling)
    back = (rows, kinds, groups, longest)
    out = out.reshape(*back, width).permute(1, 2, 0, 3, 4).flatten(2, 3)
    total = total.reshape(back).permute(1, 2, 0, 3).flatten(2, 3)
    return out.index_select(2, seen.tokens), total.index_select(2, seen.tokens)


def _in_rows(tokens: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return (heads, tokens, width) as (rows, heads, longest, width)."""
    found = tokens.index_select(1, places.flatten())
    return found.reshape(len(tokens), *places.shape, -1).transpose(0, 1)


def _over_prefix(query: torch.Tensor, seen: _Seen, layer: int, scaling: float | None) -> Part:
    kinds, _, _, width = query.shape
    key, value = seen.prefix[layer]
    return _flash(query.reshape(1, kinds, -1, width), key, value, seen.ahead, scaling)


def _flash(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    scaling: float | None,
) -> Part:
    out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, False, attn_mask=mask, scale=scaling
    )
    return out, total


AttentionInterface.register(NAME, _attend)
