import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tasks.models.local import generation  # noqa: E402
from tasks.models.local.generation import KeyedSampler, draw, draw_keys  # noqa: E402

DRAWS = 6_000
"""Of the uniform numbers that lie evenly: every token twice as likely as one of them is drawn."""


def _evenly(rows: int) -> torch.Tensor:
    return (torch.arange(rows, dtype=torch.float64) + 0.5) / rows


def _kept_by_the_library(logits: torch.Tensor, top_p: float) -> set[int]:
    from transformers import TopPLogitsWarper

    kept = TopPLogitsWarper(top_p)(None, logits[None].clone())[0]
    return set(torch.isfinite(kept).nonzero()[:, 0].tolist())


@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.95])
@pytest.mark.parametrize("size", [50, 3000])
@pytest.mark.parametrize("spread", [0.1, 3.0])
def test_the_nucleus_is_that_of_the_library(top_p: float, size: int, spread: float) -> None:
    logits = torch.randn(size, generator=torch.Generator().manual_seed(5)) * spread
    found = draw(logits.expand(DRAWS, -1), top_p, _evenly(DRAWS))
    kept = _kept_by_the_library(logits, top_p)
    probabilities = logits.double().softmax(-1)
    rare = {i for i in kept if probabilities[i] < 2 / DRAWS}
    assert set(found.tolist()) <= kept
    assert kept - rare <= set(found.tolist())


@pytest.mark.parametrize("top_p", [0.8, 1.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(top_p: float) -> None:
    logits = torch.tensor([2.0, 0.5, 1.0, -1.0, 0.0])
    found = draw(logits.expand(10_000, -1), top_p, _evenly(10_000))
    kept = torch.tensor([i in _kept_by_the_library(logits, top_p) for i in range(5)])
    expected = logits.double().softmax(-1) * (kept if top_p < 1 else 1)
    counts = torch.bincount(found, minlength=5) / 10_000
    assert counts.tolist() == pytest.approx((expected / expected.sum()).tolist(), abs=2e-3)


@given(st.floats(0, 1, exclude_max=True), st.floats(0.01, 1))
def test_every_uniform_gives_a_token_of_the_vocabulary(uniform: float, top_p: float) -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf, 2.0]])
    (token,) = draw(logits, top_p, torch.tensor([uniform], dtype=torch.float64)).tolist()
    assert token in (0, 1, 3)


def test_a_nucleus_wider_than_the_first_look_is_drawn_whole() -> None:
    size = 4 * generation.CANDIDATES
    found = draw(torch.zeros(8000, size), 0.9, _evenly(8000))
    assert len(set(found.tolist())) > 3 * generation.CANDIDATES


def test_keys_depend_on_seed_prompt_and_copy_alone() -> None:
    first, second, copy = draw_keys(1, [[1, 2], [3], [1, 2]])
    assert draw_keys(1, [[3], [1, 2]]) == [second, first]
    assert len({first, second, copy, *draw_keys(2, [[1, 2]])}) == 4


def test_the_sampler_leaves_one_token_and_another_one_each_step() -> None:
    sampler = KeyedSampler([7, 8], 1.0, 1.0)
    scores = torch.zeros(2, 5000)
    steps = [sampler(torch.zeros(2, 1), scores) for _ in range(3)]
    for left in steps:
        assert torch.isfinite(left).sum(dim=-1).tolist() == [1, 1]
    assert len({tuple(left.argmax(-1).tolist()) for left in steps}) == 3
