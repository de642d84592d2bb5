from typing import Any

import pytest

from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located
from tasks.evaluation.suites.rule_checks import (
    Checks,
    check_answer,
    quotations,
    read_checks,
    rule_holds,
)

PASSAGE = "Refunds are paid within 14 days. The buyer pays for the way back."
HERE = Located({}, "own.jsonl:4")


def keeps(answer: str, **checks: Any) -> bool:
    return all(check_answer(answer, read_checks(HERE, checks, PASSAGE), PASSAGE).values())


@pytest.mark.parametrize(
    ("answer", "text", "found"),
    [
        ("The Cat sat", "cat", True),
        ("category", "cat", False),
        ("cats", "cat", False),
        ("a  b\nc", "b c", True),
        ("it’s fine", "it's fine", True),
        ("C++!", "c++", True),
        ("-5 %", "5 %", True),
        ("15 %", "5 %", False),
        ("", "a", False),
    ],
)
def test_a_text_is_held_as_words(answer: str, text: str, found: bool) -> None:
    assert rule_holds(answer, text) is found


@pytest.mark.parametrize(
    ("checks", "keeping", "breaking"),
    [
        ({"required": ["14 days", "refund"]}, "A refund takes 14 days", "It takes 14 days"),
        ({"any_of": ["yes", "no"]}, "No.", "Nobody knows"),
        ({"forbidden": ["lawyer"]}, "Ask us.", "Ask a LAWYER."),
        (
            {"cited": ["paid within 14 days"]},
            "They are paid  within 14 days.",
            "They are Paid within 14 days.",
        ),
        ({"quotes": 1}, 'It says "Refunds are paid within 14 days."', "14 days."),
        ({"quotes": 0}, 'The "buyer" pays.', 'It says "refunds are always free".'),
        ({"quotes": 1}, "„The buyer pays“ it says", "“The seller pays for it”"),
        (
            {"json_schema": {"type": "object", "required": ["a"]}},
            'So:\n```json\n{"a": 1}\n```',
            '{"b": 1}',
        ),
        ({"json_schema": {"type": "array"}}, "[1]", "one"),
        ({"min_words": 2, "max_words": 3}, "one two", "one two three four"),
        ({"instructions": [{"id": "punctuation:no_comma"}]}, "a b", "a, b"),
        (
            {"instructions": [{"id": "keywords:existence", "kwargs": {"keywords": ["hi"]}}]},
            "hi",
            "ho",
        ),
    ],
)
def test_a_check_is_kept_by_one_answer_and_broken_by_another(
    checks: dict[str, Any], keeping: str, breaking: str
) -> None:
    assert keeps(keeping, **checks)
    assert not keeps(breaking, **checks)


def test_every_single_check_has_a_verdict() -> None:
    checks = Checks(required=("a", "b"), forbidden=("c",), max_words=1)
    assert check_answer("a c", checks) == {
        "required 'a'": True,
        "required 'b'": False,
        "forbidden 'c'": False,
        "max_words": False,
    }


def test_a_name_in_quotation_marks_is_no_quotation() -> None:
    assert quotations('the "so called" rule "is that it ends here"') == ["is that it ends here"]


@pytest.mark.parametrize(
    ("checks", "field", "said"),
    [
        ({"require": ["a"]}, "checks.require", "is no check"),
        ({"required": "a"}, "checks.required", "is no list of texts, but 'a'"),
        ({"required": [""]}, "checks.required", "is no list of texts"),
        ({"max_words": "3"}, "checks.max_words", "no whole number"),
        ({"cited": ["within 15 days"]}, "checks.cited", "which the passage doesn't hold"),
        ({"json_schema": {"type": "objct"}}, "checks.json_schema", "no JSON schema"),
        ({"json_schema": []}, "checks.json_schema", "is no object"),
        ({"instructions": ["punctuation:no_comma"]}, "checks.instructions", "with an id"),
        ({"instructions": [{"id": "no:such"}]}, "instruction 1", "no rule 'no:such'"),
        ({}, "checks", "no object with checks"),
        ({"required": None}, "checks", "no check that is set"),
        (["a"], "checks", "no object with checks"),
    ],
)
def test_a_malformed_check_is_named_with_its_place(checks: Any, field: str, said: str) -> None:
    with pytest.raises(EvaluationError, match=said) as error:
        read_checks(HERE, checks, PASSAGE)
    assert error.value.where == "own.jsonl:4"
    assert error.value.message.startswith(f"field '{field}'")
    assert error.value.fix


def test_quotations_need_a_passage() -> None:
    with pytest.raises(EvaluationError, match="no passage to quote"):
        read_checks(HERE, {"quotes": 1}, "")
