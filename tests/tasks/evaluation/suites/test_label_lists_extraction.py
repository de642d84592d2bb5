import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from pydantic import ValidationError

from configs.suites.labels import ExtractionSuite
from tasks.artifacts import CleanSource
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.label_lists import ListRunner, open_extraction
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt
from tasks.scores import Estimate

Make = Callable[..., CleanSource]
Chat = Callable[..., dict[str, Any]]

KEYS = ["E1", "E2"]
LATE = {"E1": "Delivery", "E2": "Late"}
WET = {"E1": "Delivery", "E2": "Wet"}
THIN = {"E1": "Product", "E2": "Thin"}


def suite(**fields: Any) -> ExtractionSuite:
    base = {"kind": "extraction", "name": "voc", "source": "voc", "keys": KEYS}
    return ExtractionSuite.model_validate(base | fields)


def judged(
    found: ListRunner, section: Any, folder: Path, answers: dict[str, str]
) -> dict[str, Estimate]:
    """The metrics of a model that answers each review as given."""

    def answer(prompt: Prompt) -> str:
        return answers[prompt.messages[-1]["content"]]

    rows = found.run(Scripted(answer))
    write_items(folder / "items.parquet", "voc", rows, found.labels)
    return estimate_all(folder / "items.parquet", section.metric_table())


@pytest.fixture
def source(clean_source: Make, chat: Chat) -> CleanSource:
    return clean_source(
        train=[chat("t", json.dumps([THIN]))],
        test=[
            chat("a", json.dumps([LATE])),
            chat("b", json.dumps([LATE, WET])),
            chat("c", json.dumps([WET])),
            chat("d", "[]"),
        ],
    )


def test_metrics_are_those_worked_out_by_hand(source: CleanSource, tmp_path: Path) -> None:
    section = suite()
    found = judged(
        open_extraction(section, source, "test", 1),
        section,
        tmp_path,
        {
            "a": json.dumps([LATE, THIN]),  # one too many
            "b": json.dumps([WET]),  # one too few
            "c": f"[{json.dumps(LATE)}, ",  # the leaf is wrong, and it is cut off
            "d": "nothing",  # broken
        },
    )
    values = {name: e.value for name, e in found.items()}
    # Said 4 (2 + 1 + 1 + 0), meant 4 (1 + 2 + 1 + 0), right in full 2, at the first level 3.
    assert values["precision"] == values["recall"] == pytest.approx(2 / 4)
    assert values["micro_f1"] == values["e2_micro_f1"] == pytest.approx(2 * 2 / 8)
    assert values["e1_micro_f1"] == pytest.approx(2 * 3 / 8)
    # Late: 1 hit, 1 alarm, 1 miss; Wet: 1 hit, 1 miss; Thin isn't in gold.
    assert values["macro_f1"] == pytest.approx((2 / 4 + 2 / 3) / 2)
    assert values["weighted_f1"] == pytest.approx((2 * 2 / 4 + 2 * 2 / 3) / 4)
    # Delivery: 3 hits, 1 miss; Product isn't in gold.
    assert values["e1_macro_f1"] == pytest.approx(2 * 3 / 7)
    # The pairs' shares of levels: 1 + 1 + 1/2.
    assert values["similarity_f1"] == pytest.approx(2 * 2.5 / 8)
    assert values["exact_match"] == 0.0
    assert (values["broken"], values["partial"], values["off_list"]) == (0.25, 0.25, 0.0)
    for estimate in found.values():
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.n == 4


def test_the_label_list_is_that_of_training_rows_and_items(source: CleanSource) -> None:
    runner = open_extraction(suite(), source, "test", 1)
    assert runner.labels == ("Delivery > Late", "Delivery > Wet", "Product > Thin")
    given = open_extraction(suite(labels=["Delivery>Wet", "delivery > late"]), source, "test", 1)
    assert given.labels == ("Delivery > Wet", "delivery > late")
    assert [c.meant[0].path for c in given.cases[:1]] == [("delivery", "late")]
    assert given.content != runner.content


def test_items_are_chosen_by_seed(source: CleanSource) -> None:
    few, many = (open_extraction(suite(limit=n), source, "test", 1).ids for n in (2, 3))
    assert len(few) == 2
    assert set(few) < set(many)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        ("not a list", "can't be read as a list"),
        ('[{"E1": "x"', "can't be read"),
        ('[{"label": "x"}]', "says no label"),
        ('[{"E1": "a > b", "E2": "c"}]', "holds '>'"),
    ],
)
def test_a_gold_that_is_no_list_of_labels_is_named(
    clean_source: Make, chat: Chat, answer: str, what: str
) -> None:
    with pytest.raises(EvaluationError, match=what) as error:
        open_extraction(suite(), clean_source(test=[chat("a", answer)]), "test", 1)
    assert error.value.where == "made:a"


def test_a_gold_outside_the_given_list_is_refused(source: CleanSource) -> None:
    with pytest.raises(EvaluationError, match="'Delivery > Wet' is a label of the row"):
        open_extraction(suite(labels=["Delivery > Late", "Product > Thin"]), source, "test", 1)
    with pytest.raises(EvaluationError, match="differ only in case"):
        open_extraction(suite(labels=["A > B", "a > b"]), source, "test", 1)


def test_one_key_may_hold_all_levels(clean_source: Make, chat: Chat, tmp_path: Path) -> None:
    section = suite(keys=["label"], divider="/", levels=2, span="text", span_overlap=0.5)
    gold = json.dumps([{"label": "Delivery/Late", "text": "came too late"}])
    source = clean_source(test=[chat("a", gold), chat("b", gold)])
    found = judged(
        open_extraction(section, source, "test", 1),
        section,
        tmp_path,
        {
            "a": '[{"label": "delivery / late", "text": "too late"}]',
            "b": '[{"label": "delivery / late", "text": "the box"}]',
        },
    )
    assert found["micro_f1"].value == pytest.approx(2 * 1 / 4)
    # Words shared: 2 of 2 and 3 in the first, none in the second.
    assert found["similarity_f1"].value == pytest.approx(2 * 0.8 / 4)


def test_levels_are_several_keys_or_parts_of_one() -> None:
    assert suite().depth == 2
    for fields in (
        {"divider": ">"},
        {"levels": 3},
        {"keys": ["label"], "divider": ">"},
        {"keys": ["label"], "levels": 2},
    ):
        with pytest.raises(ValidationError, match=r"levels|key"):
            suite(**fields)


def test_a_model_that_repeats_the_golds_is_perfect(source: CleanSource, tmp_path: Path) -> None:
    section = suite()
    found = judged(
        open_extraction(section, source, "test", 1),
        section,
        tmp_path,
        {
            "a": json.dumps([LATE]),
            "b": json.dumps([WET, LATE]),
            "c": json.dumps([WET]),
            "d": "[]",
        },
    )
    wrong = {"off_list", "broken", "partial"}
    assert all(e.value == (name not in wrong) for name, e in found.items())
