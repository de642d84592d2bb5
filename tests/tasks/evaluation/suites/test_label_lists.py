"""Extraction marked by hand: what was said, what was meant, and what of it is right."""

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from fakes.scripted_model import Scripted
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import f1_score

from configs.suites.labels import ClassificationSuite
from tasks.artifacts import CleanSource
from tasks.errors import EvaluationError
from tasks.evaluation.items import SuiteRunner, write_items
from tasks.evaluation.suites.classification import open_classification, path_index, path_of
from tasks.evaluation.suites.label_lists import (
    AnswerShape,
    Marking,
    claims,
    dump_predictions,
    dump_references,
    mark,
    marks,
    open_several_labels,
    parse_labels,
    parse_list,
)
from tasks.metrics.estimates import estimate_all
from tasks.metrics.matching import Labelled
from tasks.scores import Estimate

KEYS = ("E1", "E2", "E3", "E4")
COURIER = "Delivery > Time > Late > Courier"
WAREHOUSE = "Delivery > Time > Late > Warehouse"
WET = "Delivery > Damage > Box > Wet"
THIN = "Product > Quality > Fabric > Thin"
SLEEVES = "Product > Size > Small > Sleeves"
SHORT = "Delivery > Time"
MARKING = Marking(path_index([COURIER, WAREHOUSE, WET, THIN, SLEEVES, SHORT], ">"), 4)


def spoken(*labels: str) -> str:
    """The labels as a model that was trained well writes them."""
    return json.dumps([dict(zip(KEYS, label.split(" > "), strict=False)) for label in labels])


def one(label: str) -> str:
    return spoken(label)[1:-1]


class Case(NamedTuple):
    """An answer to an item and its marks: said, then right at each of the four levels."""

    golds: tuple[str, ...]
    answer: str
    said: int
    right: tuple[int, int, int, int]
    f1: Fraction
    state: str = "whole"
    exact: bool = False


F = Fraction
CASES = {
    "the one label": Case((COURIER,), spoken(COURIER), 1, (1, 1, 1, 1), F(1), exact=True),
    "two in another order": Case(
        (COURIER, THIN), spoken(THIN, COURIER), 2, (2, 2, 2, 2), F(1), exact=True
    ),
    "three in another order": Case(
        (COURIER, THIN, SLEEVES), spoken(SLEEVES, COURIER, THIN), 3, (3, 3, 3, 3), F(1), exact=True
    ),
    # 2 * 1 / (2 + 1)
    "one too many": Case((COURIER,), spoken(COURIER, THIN), 2, (1, 1, 1, 1), F(2, 3)),
    # 2 * 1 / (4 + 1); a scorer that cuts the answer to one label would say 0 or 1
    "three too many": Case(
        (THIN,), spoken(COURIER, WAREHOUSE, THIN, SLEEVES), 4, (1, 1, 1, 1), F(2, 5)
    ),
    # The second answer is the wrong leaf of a branch that is already taken.
    "one too many from the same branch": Case(
        (COURIER,), spoken(COURIER, WAREHOUSE), 2, (1, 1, 1, 1), F(2, 3)
    ),
    "one too few": Case((COURIER, THIN), spoken(THIN), 1, (1, 1, 1, 1), F(2, 3)),
    # 2 * 1 / (1 + 3)
    "two too few": Case((COURIER, THIN, SLEEVES), spoken(COURIER), 1, (1, 1, 1, 1), F(1, 2)),
    "said twice and meant once": Case(
        (COURIER,), spoken(COURIER, COURIER), 2, (1, 1, 1, 1), F(2, 3)
    ),
    "said once and meant twice": Case(
        (COURIER, COURIER), spoken(COURIER), 1, (1, 1, 1, 1), F(2, 3)
    ),
    "said twice and meant twice": Case(
        (COURIER, COURIER), spoken(COURIER, COURIER), 2, (2, 2, 2, 2), F(1), exact=True
    ),
    # 0 / 0 counts as 0; over all items it adds nothing to either side
    "nothing said and nothing meant": Case((), "[]", 0, (0, 0, 0, 0), F(0), exact=True),
    "one said and nothing meant": Case((), spoken(COURIER), 1, (0, 0, 0, 0), F(0)),
    "nothing said and one meant": Case((COURIER,), "[ ]", 0, (0, 0, 0, 0), F(0)),
    "the leaf is wrong": Case((COURIER,), spoken(WAREHOUSE), 1, (1, 1, 1, 0), F(0)),
    "the lower half is wrong": Case(
        (COURIER,), spoken("Delivery > Time > Early > Courier"), 1, (1, 1, 0, 0), F(0)
    ),
    "only the branch is right": Case((COURIER,), spoken(WET), 1, (1, 0, 0, 0), F(0)),
    "nothing of it is right": Case((COURIER,), spoken(THIN), 1, (0, 0, 0, 0), F(0)),
    "the label ends early": Case((COURIER,), spoken(SHORT), 1, (1, 1, 0, 0), F(0)),
    "a level in the middle is missing": Case(
        (COURIER,), '[{"E1": "Delivery", "E3": "Late", "E4": "Courier"}]', 1, (1, 0, 0, 0), F(0)
    ),
    "the first level is missing": Case((COURIER,), '[{"E4": "Courier"}]', 1, (0, 0, 0, 0), F(0)),
    "a gold that ends early is met": Case(
        (SHORT,), spoken(SHORT), 1, (1, 1, 1, 1), F(1), exact=True
    ),
    "a gold that ends early is overshot": Case((SHORT,), spoken(COURIER), 1, (1, 1, 0, 0), F(0)),
    # Courier goes to Courier, so Warehouse is left with Wet: 2 * 1 / (2 + 2).
    "the best pairing isn't the first one": Case(
        (COURIER, WET), spoken(WAREHOUSE, COURIER), 2, (2, 1, 1, 1), F(1, 2)
    ),
    # 2 * 2 / (3 + 4): Sleeves and Thin are met, Wet meets Courier at the first level alone.
    "some right, some half, some missing": Case(
        (COURIER, WAREHOUSE, THIN, SLEEVES), spoken(SLEEVES, WET, THIN), 3, (3, 2, 2, 2), F(4, 7)
    ),
    "case and space don't count": Case(
        (COURIER,),
        '[{"E1":"delivery","E2":" TIME ","E3":"late","E4":"Courier"}]',
        1,
        (1, 1, 1, 1),
        F(1),
        exact=True,
    ),
    "other keys don't count": Case(
        (COURIER,),
        f'[{one(COURIER)[:-1]}, "why": ["late", "rude"]}}]',
        1,
        (1, 1, 1, 1),
        F(1),
        exact=True,
    ),
    "words and a fence around it": Case(
        (COURIER,),
        f"Of course:\n```json\n{spoken(COURIER)}\n```\nAnything else?",
        1,
        (1, 1, 1, 1),
        F(1),
        exact=True,
    ),
    "a bracket before it": Case(
        (COURIER,), f"Review [1], see [below]: {spoken(COURIER)}", 1, (1, 1, 1, 1), F(1), exact=True
    ),
    "an array in an object": Case(
        (COURIER, THIN), f'{{"labels": {spoken(COURIER, THIN)}}}', 2, (2, 2, 2, 2), F(1), exact=True
    ),
    "one object without an array": Case(
        (COURIER,), one(COURIER), 1, (1, 1, 1, 1), F(1), exact=True
    ),
    "objects on lines of their own": Case(
        (COURIER, THIN), f"{one(COURIER)}\n{one(THIN)}\n", 2, (2, 2, 2, 2), F(1), exact=True
    ),
    # Neither 7 nor null says a label, yet they were said: 2 * 1 / (3 + 1).
    "elements that are no objects": Case(
        (COURIER,), f"[{one(COURIER)}, 7, null]", 3, (1, 1, 1, 1), F(1, 2)
    ),
    "a text in place of an object": Case((COURIER,), '["Delivery"]', 1, (1, 0, 0, 0), F(0)),
    "cut off in the second object": Case(
        (COURIER, THIN),
        f'[{one(COURIER)}, {{"E1": "Product", "E2": "Qual',
        1,
        (1, 1, 1, 1),
        F(2, 3),
        "partial",
    ),
    "cut off in the third, inside an object": Case(
        (COURIER, THIN, WET),
        f'{{"labels": [{one(COURIER)}, {one(THIN)}, {{"E1"',
        2,
        (2, 2, 2, 2),
        F(4, 5),
        "partial",
    ),
    "a comma too many": Case(
        (COURIER, THIN),
        f"[{one(COURIER)}, {one(THIN)},]",
        2,
        (2, 2, 2, 2),
        F(1),
        "partial",
        exact=True,
    ),
    # What comes after the break isn't trusted: 2 * 1 / (1 + 2).
    "broken in the middle": Case(
        (COURIER, THIN),
        f'[{one(COURIER)}, {{"E1": oops}}, {one(THIN)}]',
        1,
        (1, 1, 1, 1),
        F(2, 3),
        "partial",
    ),
    "cut off in the first object": Case(
        (COURIER, THIN), '[{"E1": "Delivery", "E2": ', 0, (0, 0, 0, 0), F(0), "broken"
    ),
    "other quotation marks": Case(
        (COURIER,), "[{'E1': 'Delivery'}]", 0, (0, 0, 0, 0), F(0), "broken"
    ),
    "words alone": Case(
        (COURIER,), "It is about a late delivery.", 0, (0, 0, 0, 0), F(0), "broken"
    ),
    "nothing at all": Case((COURIER,), "", 0, (0, 0, 0, 0), F(0), "broken"),
    "words where nothing was meant": Case((), "none", 0, (0, 0, 0, 0), F(0), "broken"),
    "brackets without end": Case((COURIER,), "[" * 5000, 0, (0, 0, 0, 0), F(0), "broken"),
    "a number without end": Case(
        (COURIER,), f'[{{"E1": {"9" * 6000}}}]', 0, (0, 0, 0, 0), F(0), "broken"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_answer_is_marked_as_by_hand(case: Case) -> None:
    meant = [Labelled(path_of(g, ">")) for g in case.golds]
    said, state = claims(case.answer, AnswerShape(KEYS))
    found = marks(mark(said, meant, MARKING, state), MARKING)
    assert state == case.state
    assert (found["said"], found["meant"]) == (case.said, len(case.golds))
    assert tuple(found[f"right_e{k}"] for k in (1, 2, 3, 4)) == case.right
    assert found["right"] == case.right[3]
    assert (found["partial"], found["broken"]) == (state == "partial", state == "broken")
    assert found["exact_match"] == case.exact
    whole = found["said"] + found["meant"]
    assert (2 * found["right"] / whole if whole else 0.0) == pytest.approx(float(case.f1))


def test_there_are_at_least_thirty_cases() -> None:
    assert len(CASES) >= 30


def test_a_label_in_one_key_has_levels_by_its_divider() -> None:
    shape = AnswerShape(("label",), ">", "text")
    said, _ = claims('[{"label": "Delivery>Time > Late", "text": "too late"}, "Product"]', shape)
    assert said == [Labelled(("Delivery", "Time", "Late"), "too late"), Labelled(("Product",))]
    assert claims('[{"label": "A > B"}]', AnswerShape())[0] == [Labelled(("A > B",))]


def test_spans_decide_which_label_is_whose() -> None:
    marking = Marking(path_index(["late", "thin"], None), 1, 0.5)
    meant = [
        Labelled(("late",), "came two weeks late"),
        Labelled(("late",), "the courier was late"),
    ]
    said = [Labelled(("late",), "courier was late"), Labelled(("late",), "two weeks late")]
    found = mark(said, meant, marking)
    # "courier was late" shares 3 of 3 and 3 words with the second ("the" doesn't count): F1 = 1;
    # "two weeks late" shares 3 of 3 and 4 with the first: F1 = 6/7.
    assert [(p.said, p.meant, p.right) for p in found.pairs] == [(0, 1, 1), (1, 0, 1)]
    assert marks(found, marking)["similarity"] == pytest.approx(1 + 6 / 7)
    strict = replace(marking, overlap=1.0)
    assert marks(mark(said, meant, strict), strict)["right"] == 1
    missing = mark([Labelled(("late",))], meant, marking)
    assert marks(missing, marking)["right"] == 0


def test_a_label_outside_the_list_is_marked() -> None:
    said, _ = claims(spoken("Delivery > Time > Never"), AnswerShape(KEYS))
    found = mark(said, [Labelled(path_of(COURIER, ">"))], MARKING)
    assert marks(found, MARKING)["off_list"] == 1
    assert marks(found, MARKING)["right_e2"] == 1


def test_the_table_holds_who_is_whose_partner() -> None:
    said, _ = claims(spoken("delivery > time > late > warehouse", COURIER, THIN), AnswerShape(KEYS))
    meant = [Labelled(path_of(g, ">")) for g in (COURIER, WET)]
    found = mark(said, meant, MARKING)
    assert json.loads(dump_references(meant)) == [{"label": COURIER}, {"label": WET}]
    assert json.loads(dump_predictions(found, MARKING)) == [
        {"label": WAREHOUSE, "gold": 1, "right": 1, "whole": False},
        {"label": COURIER, "gold": 0, "right": 4, "whole": True},
        {"label": THIN, "gold": None, "right": 0, "whole": False},
    ]


values = st.dictionaries(st.text(max_size=5), st.text(max_size=8) | st.lists(st.integers()))
lists = st.lists(values, max_size=4)


@given(lists, st.text(alphabet="abc .:\n", max_size=20), st.text(max_size=20))
def test_a_whole_array_is_read_whatever_is_around_it(
    elements: list[object], before: str, after: str
) -> None:
    assert parse_list(before + json.dumps(elements) + after) == (elements, "whole")


@given(st.lists(values, min_size=1, max_size=4), st.data())
def test_a_cut_array_gives_its_whole_elements(elements: list[object], data: st.DataObject) -> None:
    text = json.dumps(elements)
    cut = data.draw(st.integers(0, len(text) - 1))
    found = parse_list(text[:cut])
    ends = [len(json.dumps(elements[: k + 1])) - 1 for k in range(len(elements))]
    whole = sum(end <= cut for end in ends)
    assert found == (elements[:whole], "partial" if whole else "broken")


@pytest.mark.parametrize(
    ("answer", "elements", "state"),
    [
        ('["a", "b"]', ["a", "b"], "whole"),
        ('["a", "b', ["a"], "partial"),
        ("[1] and [2]", [], "broken"),
        ("[]", [], "whole"),
        ("[] {}", [], "whole"),
        ('{"a": 1} {"a": 2', [{"a": 1}], "partial"),
        ('{"a": [1, 2]}', [1, 2], "whole"),
        ('{"a": [1], "b": 2}', [{"a": [1], "b": 2}], "whole"),
        ("{", [], "broken"),
        ('[{"a": 1} {"a": 2}]', [{"a": 1}, {"a": 2}], "partial"),
    ],
)
def test_lists_are_read_by_the_rules(answer: str, elements: list[object], state: str) -> None:
    assert parse_list(answer) == (elements, state)


Make = Callable[..., CleanSource]
Chat = Callable[..., dict[str, Any]]


def suite(**fields: Any) -> ClassificationSuite:
    base = {"kind": "classification", "name": "voc", "source": "voc"}
    return ClassificationSuite.model_validate(base | fields)


def judged(
    runner: SuiteRunner, section: ClassificationSuite, folder: Path, answers: dict[str, str]
) -> dict[str, Estimate]:
    rows = runner.run(Scripted(lambda prompt: answers[prompt.messages[-1]["content"]]))
    write_items(folder / "items.parquet", "voc", rows, runner.labels)
    return estimate_all(folder / "items.parquet", section.metric_table())


@pytest.mark.parametrize(
    ("text", "labels", "state"),
    [
        ("late, wet", ["late", "wet"], "whole"),
        ('["late", "wet"]', ["late", "wet"], "whole"),
        ("late\nwet,", ["late", "wet"], "whole"),
        ("[]", [], "whole"),
        ("", [], "broken"),
        (" , ", [], "broken"),
        ('["late", "we', ["late"], "partial"),
        ("[late]", [], "broken"),
        ('[{"label": "late"}]', ["late"], "whole"),
    ],
)
def test_labels_are_listed_as_json_or_between_dividers(
    text: str, labels: list[str], state: str
) -> None:
    assert parse_labels(text, ",", None) == ([Labelled((x,)) for x in labels], state)


def test_labels_may_be_paths_between_other_dividers() -> None:
    found, _ = parse_labels("A > b ; C", ";", ">")
    assert found == [Labelled(("A", "b")), Labelled(("C",))]


def test_f1_is_that_of_scikit_learn(clean_source: Make, chat: Chat, tmp_path: Path) -> None:
    golds = ["x, y", "y", "z", "x, z", "[]", "x"]
    said = ["y, x", "y, z", "x", "X", "z", "x, y, z"]
    section = suite(several=True)
    rows = [chat(str(i), gold) for i, gold in enumerate(golds)]
    runner = open_several_labels(section, clean_source(test=rows), "test", 1)
    found = judged(runner, section, tmp_path, {str(i): text for i, text in enumerate(said)})
    gold, predicted = (
        np.array([[x in text.lower() for x in "xyz"] for text in texts], int)
        for texts in (golds, said)
    )
    for average in ("micro", "macro", "weighted"):
        expected = f1_score(gold, predicted, average=average, zero_division=0)
        assert found[f"{average}_f1"].value == pytest.approx(expected), average
    # Right in full: the first alone.
    assert found["exact_match"].value == pytest.approx(1 / 6)
    assert found["off_list"].value == found["broken"].value == 0.0


def test_a_label_said_outside_the_list_counts_against_precision(
    clean_source: Make, chat: Chat, tmp_path: Path
) -> None:
    section = suite(several=True)
    runner = open_several_labels(
        section, clean_source(test=[chat("a", "x"), chat("b", "y")]), "test", 1
    )
    found = judged(runner, section, tmp_path, {"a": "x, strange", "b": "y"})
    assert found["precision"].value == pytest.approx(2 / 3)
    assert found["macro_f1"].value == 1.0
    assert found["off_list"].value == 0.5


def test_several_labels_may_have_levels(clean_source: Make, chat: Chat, tmp_path: Path) -> None:
    section = suite(several=True, hierarchy=">", levels=2, divider=";")
    source = clean_source(test=[chat("a", "A > x; B > y"), chat("b", "A > z")])
    runner = open_several_labels(section, source, "test", 1)
    found = judged(runner, section, tmp_path, {"a": "A>x; B>x", "b": "A > x"})
    assert found["e1_micro_f1"].value == 1.0
    assert found["e2_micro_f1"].value == found["micro_f1"].value == pytest.approx(2 * 1 / 6)
    assert runner.labels == ("A > x", "A > z", "B > y")


def test_items_are_chosen_for_each_label(clean_source: Make, chat: Chat) -> None:
    rows = [chat(f"{i}", "x, y" if i % 3 else "z") for i in range(12)]
    runner = open_several_labels(
        suite(several=True, items_per_label=2), clean_source(test=rows), "test", 1
    )
    assert 4 <= len(runner.ids) <= 6


def test_one_label_with_levels_is_judged_at_each(
    clean_source: Make, chat: Chat, tmp_path: Path
) -> None:
    section = suite(hierarchy=">", levels=3)
    golds = ["A > b > c", "A > b > d", "A > e", "F > g > h"]
    source = clean_source(test=[chat(str(i), gold) for i, gold in enumerate(golds)])
    runner = open_classification(section, source, "test", 1)
    said = {"0": "a>B>c\nbecause", "1": "A > b > c", "2": "A > zzz", "3": "what is it"}
    found = judged(runner, section, tmp_path, said)
    values = {name: e.value for name, e in found.items()}
    assert values["accuracy"] == 0.25
    # "A > zzz" is known at its first level alone, "what is it" at none.
    assert (values["invalid_rate"], values["off_list"]) == (0.25, 0.5)
    # Level 1: A three times right, F missed. Level 2: A > b twice, A > e and F > g missed.
    assert values["e1_macro_f1"] == pytest.approx((1 + 0) / 2)
    assert values["e1_micro_f1"] == pytest.approx(2 * 3 / (2 * 3 + 1))
    assert values["e2_macro_f1"] == pytest.approx((1 + 0 + 0) / 3)
    # In full: A > b > c has 1 hit and 1 alarm; nothing else is right.
    assert values["e3_macro_f1"] == values["macro_f1"] == pytest.approx((2 / 3) / 4)
    assert values["e2_weighted_f1"] == pytest.approx(2 * 1 / 4)


def test_a_label_with_more_levels_than_said_is_refused(clean_source: Make, chat: Chat) -> None:
    source = clean_source(test=[chat("a", "A > b > c")])
    for opened, more in ((open_classification, {}), (open_several_labels, {"several": True})):
        with pytest.raises(EvaluationError, match="more levels than 2"):
            opened(suite(hierarchy=">", levels=2, **more), source, "test", 1)
    with pytest.raises(ValidationError, match="both hierarchy and levels"):
        suite(levels=2)
