from collections.abc import Callable
from typing import Any

import pytest

from tasks.scores import GateResult, SuiteScores
from tasks.tracking.scorecard.notes import caveats, gates_markdown, notes

Make = Callable[..., SuiteScores]


def scores(make: Make, *errors: str | None, **about: Any) -> SuiteScores:
    rows = [
        {"form": "classification", "gold": "x", "prediction": "x", "score": 1.0, "error": why}
        for why in errors
    ]
    count = sum(why is not None for why in errors)
    return make("voc", "classification", rows, ["x"]).model_copy(update={"errors": count} | about)


def test_nothing_is_noted_of_scores_without_fault(suite_scores: Make) -> None:
    assert notes(scores(suite_scores, None, None)) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [("classification", "count as wrong"), ("refusal", "are left out of the metrics")],
)
def test_what_becomes_of_unanswered_items_is_said_as_it_is(
    suite_scores: Make, kind: str, said: str
) -> None:
    (note,) = notes(scores(suite_scores, None, "HTTP 500 (1 try)", kind=kind))
    assert f"1 rows were not answered and {said}" in note
    assert "Run again" in note
    assert "for good" not in note


def test_asking_again_is_not_advised_where_the_server_refuses_for_good(suite_scores: Make) -> None:
    (note,) = notes(scores(suite_scores, *[f"HTTP 400: {n} {'x' * 200}" for n in range(5)]))
    assert "The server refuses 5 of them for good (i0: HTTP 400: 0 xxx" in note
    assert "i2: HTTP 400: 2" in note
    assert "i3" not in note
    assert "x" * 100 not in note
    assert "Run again" not in note


def test_cut_items_and_unfinished_thoughts_are_counted(suite_scores: Make) -> None:
    found = notes(scores(suite_scores, None, None, truncated=1200, unclosed=3))
    assert [note.split(" ", 1)[0] for note in found] == ["1,200", "3"]


def test_every_gate_is_a_row_and_data_cannot_break_it(gates: tuple[GateResult, ...]) -> None:
    text = gates_markdown("INCONCLUSIVE", gates)
    rows = text.splitlines()
    assert rows[0] == "**INCONCLUSIVE**"
    assert len(rows) == 6
    assert "60 (needs 1,234)" in rows[-1]
    assert "<script" not in text
    broken = gates[0].model_copy(update={"reason": "a | b\n| c |"})
    assert len(gates_markdown("PASS", [broken]).splitlines()) == 5


def test_dev_items_and_further_looks_are_told_beside_the_verdict(
    gates: tuple[GateResult, ...],
) -> None:
    dev = [g.model_copy(update={"split": "dev", "seen": 4}) for g in gates]
    text = gates_markdown("PASS", dev)
    assert "Dev items: chosen, not confirmed." in text
    assert "this is look 4 at the same test items. At alpha 0.013 (0.05/4)" in text
    assert "This speaks for these weights, trained with one seed" in text
    assert caveats([g.model_copy(update={"split": "", "seen": 1}) for g in gates]) == []


def test_no_gates_are_said_to_be_none() -> None:
    assert gates_markdown("PASS", []) == "**PASS**: the recipe declares no gates."
