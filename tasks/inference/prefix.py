"""Keys and values of tokens that several sequences begin with."""

from collections.abc import Sequence

import torch
from transformers import DynamicCache

from tasks.inference.loading import TorchModel
from tasks.inference.spans import common

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
