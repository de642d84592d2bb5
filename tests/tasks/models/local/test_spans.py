from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.models.local.spans import Span, batches, clusters, common, encode_options, fit, pack
from tasks.text.chat import load_tokenizer

TOKENS = st.lists(st.integers(0, 3), min_size=2, max_size=12)


@pytest.fixture(scope="module")
def tokenizer(tiny_model_folder: Any) -> Any:
    return load_tokenizer(tiny_model_folder)


@given(st.lists(st.integers(0, 1), max_size=40), st.lists(st.integers(0, 1), max_size=40))
def test_the_common_beginning_is_that_of_a_token_by_token_comparison(
    first: list[int], second: list[int]
) -> None:
    expected = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        expected += 1
    assert common(first, second) == expected


@given(st.lists(TOKENS, min_size=1, max_size=5))
def test_every_wanted_token_of_a_tree_is_predicted_from_all_that_stands_before_it(
    texts: list[list[int]],
) -> None:
    tree = pack(0, [Span(ids, range(1, len(ids))) for ids in texts])
    asked: dict[int, list[tuple[int, int]]] = {i: [] for i in range(len(texts))}
    for place, token, span in tree.wanted:
        way = [i for i in range(place + 1) if tree.branches[i] in (-1, tree.branches[place])]
        if tree.branches[place] != -1:
            assert tree.branches[place] == span
        seen = [tree.ids[i] for i in way]
        assert seen == list(texts[span][: len(seen)])
        assert [tree.positions[i] for i in way] == list(range(len(seen)))
        asked[span].append((len(seen), token))
    for number, ids in enumerate(texts):
        assert sorted(asked[number]) == [(i, ids[i]) for i in range(1, len(ids))]


def test_a_tree_computes_the_common_tokens_once() -> None:
    question = list(range(50))
    tree = pack(0, [Span([*question, 90 + i, 99], [50, 51]) for i in range(4)])
    assert len(tree.ids) == 50 + 4
    assert not tree.plain
    letters = pack(0, [Span([*question, 90 + i], [50]) for i in range(4)])
    assert letters.ids == question
    assert letters.plain


def test_prompts_with_few_shot_examples_form_one_cluster_a_subject() -> None:
    trees = [
        pack(i, [Span([s, *range(100, 180), s, i, i + 1, 7], [84])])
        for i, s in enumerate([1, 2, 1, 2, 1])
    ]
    found = {c.prefix[0]: [t.index for t in c.trees] for c in clusters(trees) if c.prefix}
    assert found == {1: [0, 2, 4], 2: [1, 3]}
    for cluster in clusters(trees):
        assert len(cluster.prefix) == 82
        assert all(t.positions[0] == 82 for t in cluster.trees)


def test_a_short_common_beginning_is_not_worth_a_cluster() -> None:
    trees = [pack(i, [Span([*range(30), 40 + i, i], [31])]) for i in range(4)]
    (only,) = clusters(trees)
    assert only.prefix == []
    assert len(only.trees) == 4


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 200))
def test_batches_hold_every_tree_once_within_the_budget(lengths: list[int], budget: int) -> None:
    trees = [pack(i, [Span([0] * (n + 1), [n])]) for i, n in enumerate(lengths)]
    for copied in (None, 0):
        found = list(batches(trees, budget, copied))
        assert sorted(t.index for b in found for t in b) == list(range(len(lengths)))
        for batch in found:
            sizes = [len(t.ids) for t in batch]
            padded = sum(sizes) if copied is None else len(sizes) * max(sizes)
            assert len(batch) == 1 or padded <= budget


def _pieces(tokenizer: Any, spans: Sequence[Span]) -> list[tuple[str, str]]:
    return [
        (tokenizer.decode(s.ids[: s.at[0]]), tokenizer.decode([s.ids[i] for i in s.at]))
        for s in spans
    ]


def test_spaces_at_the_end_of_a_context_go_to_the_continuation(tokenizer: Any) -> None:
    spans = encode_options(tokenizer, "Answer: ", ["A", "B"])
    assert _pieces(tokenizer, spans) == [("Answer:", " A"), ("Answer:", " B")]


def test_a_beginning_of_sequence_token_is_not_put_twice(tokenizer: Any) -> None:
    (span,) = encode_options(tokenizer, "<bos>Answer:", [" A"])
    assert list(span.ids).count(tokenizer.bos_token_id) == 1


def test_a_context_too_long_for_the_model_loses_its_beginning() -> None:
    span = Span(list(range(20)), [18, 19])
    assert fit(span, 19) == (span, False)
    assert fit(span, None) == (span, False)
    cut, was_cut = fit(span, 10)
    assert was_cut
    assert cut.ids == list(range(9, 20))
    assert [cut.ids[i] for i in cut.at] == [18, 19]
