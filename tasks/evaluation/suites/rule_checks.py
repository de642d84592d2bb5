"""Checks of an answer that a rule decides: texts required, forbidden and cited, JSON, length."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tasks.evaluation.datasets import Located, fail
from tasks.evaluation.ifeval.runner import Instruction, instructions_of, judge
from tasks.evaluation.ifeval.wording import are_texts, is_count
from tasks.text.normal import to_nfc

_QUOTED = re.compile(r'"([^"\n]+)"|“([^”\n]+)”|«([^»\n]+)»|„([^“\n]+)“')
_FENCED = re.compile(r"```\w*\n?(.*?)```", re.DOTALL)
_CURLED = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " "})
_SHORTEST = 3
"""Words from which on text in quotation marks is a quotation, and not a name or a word meant."""


class Checks(NamedTuple):
    """What an answer is checked for.

    Attributes:
        required: Texts that it holds.
        any_of: Of which it holds one.
        forbidden: Texts that it doesn't hold.
        cited: Texts that it quotes as the passage has them, letter for letter.
        quotes: Quotations of the passage at least; every quotation must stand there.
        json_schema: A schema that it satisfies as JSON.
        min_words: Words at least.
        max_words: Words at most.
        instructions: IFEval's.
    """

    required: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()
    quotes: int | None = None
    json_schema: Mapping[str, Any] | None = None
    min_words: int | None = None
    max_words: int | None = None
    instructions: tuple[Instruction, ...] = ()


def check_answer(answer: str, checks: Checks, passage: str = "") -> dict[str, bool]:
    """Return each single check of an answer by a name of its own, and whether it is kept.

    Args:
        answer: What the model wrote.
        checks: What it is checked for.
        passage: What its quotations must be of.
    """
    found = {f"required {t!r}": rule_holds(answer, t) for t in checks.required}
    found |= {f"forbidden {t!r}": not rule_holds(answer, t) for t in checks.forbidden}
    found |= {f"cited {t!r}": _plain(t) in _plain(answer) for t in checks.cited}
    for name, check in _ALONE.items():
        value = getattr(checks, name)
        if value not in (None, ()):
            found[name] = check(answer, value, passage)
    told = judge(answer, checks.instructions)
    return found | {
        f"{place} {i.name}": verdict.strict
        for place, (i, verdict) in enumerate(zip(checks.instructions, told, strict=True), start=1)
    }


def rule_holds(answer: str, text: str) -> bool:
    """Return whether a text stands in an answer, as words: case and runs of space don't count."""
    words = r"\s+".join(map(re.escape, text.translate(_CURLED).split()))
    before = r"(?<!\w)" if re.match(r"\s*\w", text) else ""
    after = r"(?!\w)" if re.search(r"\w\s*$", text) else ""
    return re.search(before + words + after, answer.translate(_CURLED), re.IGNORECASE) is not None


def quotations(answer: str) -> list[str]:
    """Return what an answer has in quotation marks, where it is three words or more."""
    found = ["".join(groups) for groups in _QUOTED.findall(answer)]
    return [quote for quote in found if len(quote.split()) >= _SHORTEST]


def _one_of(answer: str, texts: tuple[str, ...], _: str) -> bool:
    return any(rule_holds(answer, text) for text in texts)


def _quotes(answer: str, least: int, passage: str) -> bool:
    found, plain = quotations(answer), _plain(passage)
    # A full stop or comma before the closing mark is the sentence's, not the passage's.
    return len(found) >= least and all(_plain(q).rstrip(".,;") in plain for q in found)


def _long(answer: str, least: int, _: str) -> bool:
    return len(answer.split()) >= least


def _short(answer: str, most: int, _: str) -> bool:
    return len(answer.split()) <= most


def _satisfies(answer: str, schema: Mapping[str, Any], _: str) -> bool:
    from jsonschema import Draft202012Validator

    fenced = _FENCED.search(answer)
    try:
        value = json.loads(fenced.group(1) if fenced else answer)
    except (ValueError, RecursionError):
        return False
    return bool(Draft202012Validator(schema).is_valid(value))


def _plain(text: str) -> str:
    return " ".join(to_nfc(text).translate(_CURLED).split())


_ALONE: dict[str, Callable[[str, Any, str], bool]] = {
    "any_of": _one_of,
    "quotes": _quotes,
    "json_schema": _satisfies,
    "min_words": _long,
    "max_words": _short,
}


def read_checks(found: Located, value: Any, passage: str, field: str = "checks") -> Checks:
    """Return the checks of a record.

    Args:
        found: The record.
        value: Its field.
        passage: What is cited must stand in.
        field: The field's name, for errors.

    Raises:
        EvaluationError: There are none, one isn't known, or one can't be used.
    """
    if not isinstance(value, dict) or not value:
        fail(
            found,
            field,
            f"is no object with checks, but {_shown(value)}",
            f"give at least one of {', '.join(Checks._fields)}.",
        )
    given = {name: checked for name, checked in value.items() if checked is not None}
    for name, checked in given.items():
        _refuse(found, f"{field}.{name}", name, checked, passage)
    if not given:
        fail(found, field, "has no check that is set", "set one of them.")
    told = given.pop("instructions", [])
    texts: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in given.items()}
    return Checks(**texts)._replace(instructions=_instructions(found, told, field))


def _refuse(found: Located, field: str, name: str, value: Any, passage: str) -> None:
    if name not in Checks._fields:
        fail(found, field, "is no check", f"use {', '.join(Checks._fields)}.")
    if name in ("required", "any_of", "forbidden", "cited") and not are_texts(value):
        fail(found, field, f"is no list of texts, but {_shown(value)}", 'write it as ["a text"].')
    if name in ("quotes", "min_words", "max_words") and not is_count(value):
        fail(found, field, f"is no whole number from 0 on, but {_shown(value)}", "give a number.")
    if name == "json_schema":
        _refuse_schema(found, field, value)
    absent = [t for t in value if _plain(t) not in _plain(passage)] if name == "cited" else []
    if absent:
        fail(
            found,
            field,
            f"has {_shown(absent[0])}, which the passage doesn't hold",
            "cite the passage as it is written, letter for letter.",
        )
    if name == "quotes" and not passage:
        fail(found, field, "is set, and there is no passage to quote", "give the item a passage.")


def _refuse_schema(found: Located, field: str, value: Any) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(value, dict):
        fail(found, field, f"is no object, but {_shown(value)}", "give a JSON schema.")
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        fail(found, field, f"is no JSON schema: {error.message}", "correct it (draft 2020-12).")


def _instructions(found: Located, told: Any, field: str) -> tuple[Instruction, ...]:
    if not told:
        return ()
    if not isinstance(told, list) or not all(isinstance(t, dict) and "id" in t for t in told):
        fail(
            found,
            f"{field}.instructions",
            "is no list of objects with an id",
            'write it as [{"id": "punctuation:no_comma"}].',
        )
    return instructions_of(found, [t["id"] for t in told], [t.get("kwargs") or {} for t in told])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
