"""Attention over a prefix that rows share, against the definition, for kinds of models."""

import random
from typing import Any

import pytest

from tasks.models.local.spans import Span

torch = pytest.importorskip("torch")

from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

from tasks.models.local.prefix_cache import (  # noqa: E402
    KINDS,
    attending,
    can_attend,
    keys_and_values,  # noqa: E402
)
from tasks.models.local.scoring import continuation_logprobs  # noqa: E402

OTHERS = ("gemma2", "gpt_neox", "mixtral")
"""Kinds that are left to transformers: soft caps, other names, experts."""


def made(kind: str, heads: int = 4, groups: int = 2, **fields: Any) -> Any:
    """Return a random model whose logits tell tokens apart."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(
        kind,
        vocab_size=96,
        hidden_size=heads * 16,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=heads,
        num_key_value_heads=heads // groups,
        head_dim=16,
        max_position_embeddings=2048,
        initializer_range=0.2,
        pad_token_id=0,
        **{"sliding_window": None, **fields},
    )
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def asked(prefix: int, lengths: tuple[int, ...], options: int) -> list[list[Span]]:
    """Return a question of each length after the same beginning, its options of a few tokens."""
    draw = random.Random(3)

    def some(count: int) -> list[int]:
        return [draw.randrange(1, 96) for _ in range(count)]

    head = some(prefix)
    groups = []
    for length in lengths:
        body = head + some(length)
        spans = [body + some(draw.randint(1, 9)) for _ in range(options)]
        groups.append([Span(ids, range(len(body), len(ids))) for ids in spans])
    return groups


def defined(model: Any, groups: list[list[Span]]) -> list[list[float]]:
    """Return the sums of one forward pass for each span."""

    def one(span: Span) -> float:
        with torch.inference_mode():
            found = model(torch.tensor([list(span.ids)])).logits[0].log_softmax(dim=-1)
        return sum(float(found[p - 1, span.ids[p]]) for p in span.at)

    return [[one(span) for span in group] for group in groups]


def same(model: Any, groups: list[list[Span]], budget: int = 2048) -> None:
    found = continuation_logprobs(model, groups, budget)
    for one, other in zip(found, defined(model, groups), strict=True):
        assert one == pytest.approx(other, abs=2e-4)


@pytest.mark.parametrize("kind", sorted(KINDS) + list(OTHERS))
def test_options_after_a_shared_beginning_equal_a_forward_pass_each(kind: str) -> None:
    model = made(kind, **({"sliding_window": 4096} if kind == "gemma2" else {}))
    assert can_attend(model) == (kind in KINDS)
    same(model, asked(70, (20, 5, 33), 4))


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("prefix", [0, 31, 32, 600])
def test_any_length_of_prefix_and_row_gives_the_same(prefix: int, groups: int) -> None:
    # Above 512 the kernel takes keys in more than one block.
    same(made("llama", groups=groups), asked(prefix, (1, 31, 540), 3), 4096)


def test_a_window_or_another_attention_is_left_to_transformers() -> None:
    assert not can_attend(made("mistral", sliding_window=64))
    model = made("llama")
    model.set_attn_implementation("eager")
    assert not can_attend(model)
    same(model, asked(40, (20, 5), 2))


def test_the_model_is_as_before_afterwards_even_after_an_error() -> None:
    model = made("llama")
    ids = torch.arange(1, 41)[None]
    with torch.inference_mode():
        before = model(ids).logits
        prefix = keys_and_values(model, [5, 6, 7])
        with pytest.raises(KeyError), attending(model, prefix, [4], torch.ones(1, 4, 4).bool()):
            raise KeyError
        assert torch.equal(model(ids).logits, before)
