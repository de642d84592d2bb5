from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.metrics import f1_score

from configs.suites.classification import ClassificationSuite
from tasks.artifacts import CleanSource, Estimate
from tasks.errors import EvaluationError
from tasks.evaluation.classification import classification_exam
from tasks.evaluation.items import Exam, write_items
from tasks.evaluation.multilabel import labels_said, several_exam
from tasks.inference.scripted import Scripted
from tasks.metrics.estimates import estimate_all
from tasks.metrics.matching import Labelled

Make = Callable[..., CleanSource]
Chat = Callable[..., dict[str, Any]]


def suite(**fields: Any) -> ClassificationSuite:
    base = {"kind": "classification", "name": "voc", "source": "voc"}
    return ClassificationSuite.model_validate(base | fields)


def judged(
    exam: Exam, section: ClassificationSuite, folder: Path, answers: dict[str, str]
) -> dict[str, Estimate]:
    rows = exam.sit(Scripted(lambda prompt: answers[prompt.messages[-1]["content"]]))
    write_items(folder / "items.parquet", "voc", rows, exam.labels)
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
    assert labels_said(text, ",", None) == ([Labelled((x,)) for x in labels], state)


def test_labels_may_be_paths_between_other_dividers() -> None:
    found, _ = labels_said("A > b ; C", ";", ">")
    assert found == [Labelled(("A", "b")), Labelled(("C",))]


def test_f1_is_that_of_scikit_learn(clean_source: Make, chat: Chat, tmp_path: Path) -> None:
    golds = ["x, y", "y", "z", "x, z", "[]", "x"]
    said = ["y, x", "y, z", "x", "X", "z", "x, y, z"]
    section = suite(several=True)
    rows = [chat(str(i), gold) for i, gold in enumerate(golds)]
    exam = several_exam(section, clean_source(test=rows), "test", 1)
    found = judged(exam, section, tmp_path, {str(i): text for i, text in enumerate(said)})
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
    exam = several_exam(section, clean_source(test=[chat("a", "x"), chat("b", "y")]), "test", 1)
    found = judged(exam, section, tmp_path, {"a": "x, strange", "b": "y"})
    assert found["precision"].value == pytest.approx(2 / 3)
    assert found["macro_f1"].value == 1.0
    assert found["off_list"].value == 0.5


def test_several_labels_may_have_levels(clean_source: Make, chat: Chat, tmp_path: Path) -> None:
    section = suite(several=True, hierarchy=">", levels=2, divider=";")
    source = clean_source(test=[chat("a", "A > x; B > y"), chat("b", "A > z")])
    exam = several_exam(section, source, "test", 1)
    found = judged(exam, section, tmp_path, {"a": "A>x; B>x", "b": "A > x"})
    assert found["e1_micro_f1"].value == 1.0
    assert found["e2_micro_f1"].value == found["micro_f1"].value == pytest.approx(2 * 1 / 6)
    assert exam.labels == ("A > x", "A > z", "B > y")


def test_items_are_chosen_for_each_label(clean_source: Make, chat: Chat) -> None:
    rows = [chat(f"{i}", "x, y" if i % 3 else "z") for i in range(12)]
    exam = several_exam(suite(several=True, items_per_label=2), clean_source(test=rows), "test", 1)
    assert 4 <= len(exam.ids) <= 6


def test_one_label_with_levels_is_judged_at_each(
    clean_source: Make, chat: Chat, tmp_path: Path
) -> None:
    section = suite(hierarchy=">", levels=3)
    golds = ["A > b > c", "A > b > d", "A > e", "F > g > h"]
    source = clean_source(test=[chat(str(i), gold) for i, gold in enumerate(golds)])
    exam = classification_exam(section, source, "test", 1)
    said = {"0": "a>B>c\nbecause", "1": "A > b > c", "2": "A > zzz", "3": "what is it"}
    found = judged(exam, section, tmp_path, said)
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
    for opened, more in ((classification_exam, {}), (several_exam, {"several": True})):
        with pytest.raises(EvaluationError, match="more levels than 2"):
            opened(suite(hierarchy=">", levels=2, **more), source, "test", 1)
    with pytest.raises(ValidationError, match="both hierarchy and levels"):
        suite(levels=2)
