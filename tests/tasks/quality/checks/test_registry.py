from typing import Any

import pyarrow as pa
import pytest

from configs.quality import CHECKS as SWITCHED
from configs.quality import Mojibake, Personal, Quality, Secrets
from tasks.quality.checks.registry import CHECKS, Findings, run_checks
from tasks.quality.checks.row_batch import CheckContext
from tasks.quality.row_table import build_identities
from tasks.text.rows import ROW_SCHEMA, row_id

KEY = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


def _table(*messages: list[tuple[str, str]]) -> Any:
    rows = []
    for given in messages:
        said = [{"role": role, "content": text} for role, text in given]
        rows.append({"row_id": row_id(said), "messages": said, "origin": "a:1"})  # type: ignore[arg-type]
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)


def _checked(table: Any, quality: Quality, *, classes: bool = False) -> Findings:
    return run_checks(CheckContext(table, quality), build_identities(table), classes=classes)


def _chat(prompt: str, answer: str = "Yes.") -> list[tuple[str, str]]:
    return [("user", prompt), ("assistant", answer)]


def _hits(found: dict[str, Any]) -> dict[str, list[int]]:
    return {name: hit.nonzero()[0].tolist() for name, hit in found.items() if hit.any()}


def test_personal_data_is_reported_and_secrets_are_quarantined() -> None:
    table = _table(_chat("Hello"), _chat("I am bob@gmail.com"), _chat("hi", f"use {KEY}"))
    found = _checked(table, Quality())
    assert _hits(found.reported) == {"pii_email": [1]}
    assert _hits(found.flags) == {"secret_api_key": [2]}


def test_actions_of_a_recipe_are_followed() -> None:
    table = _table(_chat("I am bob@gmail.com"), _chat(KEY), _chat("I donâ€™t, itâ€™s"))
    other = Quality(
        pii=Personal(kinds=("email",), action="quarantine"),
        secrets=Secrets(action="report"),
        mojibake=Mojibake(action="report"),
    )
    found = _checked(table, other)
    assert _hits(found.flags) == {"pii_email": [0]}
    assert _hits(found.reported) == {"secret_api_key": [1], "mojibake": [2]}
    off = _checked(table, Quality(pii=None, secrets=None, mojibake=None))
    assert _hits(off.flags) == _hits(off.reported) == {}


def test_what_is_redacted_beforehand_is_not_looked_for_again() -> None:
    found = _checked(_table(_chat("bob@gmail.com")), Quality(pii=Personal(action="redact")))
    assert not any(name.startswith("pii") for name in (*found.reported, *found.flags))


@pytest.mark.parametrize(("mode", "rows"), [("auto", [1]), ("on", [0, 1]), ("off", [])])
def test_rules_for_prose_are_asked_of_plain_rows_only_unless_told(
    mode: Any, rows: list[int]
) -> None:
    table = _table(_chat("Hello"), [("text", "Just a line")])
    found = _checked(table, Quality(text_rules=mode)).flags
    assert _hits(found).get("gopher_few_words", []) == rows


def test_rows_of_other_languages_are_found_and_all_are_counted() -> None:
    german = "Das Wetter war diese Woche wunderbar, und wir sind am Meer spazieren gegangen."
    table = _table(_chat(german, german), _chat("Hello"))
    found = _checked(table, Quality(languages=("en",)))
    assert _hits(found.flags) == {"language": [0]}
    assert found.languages == {"de": 1, "unsure": 1}
    assert _checked(table, Quality()).languages == {}


def test_short_rows_are_found_by_all_their_messages_together() -> None:
    table = _table(_chat("abc", "def"), _chat("abc", "defg"))
    assert _hits(_checked(table, Quality(min_chars=7)).flags) == {"short": [0]}


def test_an_empty_table_has_no_findings() -> None:
    found = _checked(ROW_SCHEMA.empty_table(), Quality(languages=("en",)))
    assert all(len(hit) == 0 for hit in (*found.flags.values(), *found.reported.values()))


def test_every_check_that_a_recipe_can_name_is_in_the_table_and_says_one_sentence() -> None:
    assert set(SWITCHED) <= set(CHECKS)
    for check in CHECKS.values():
        assert check.explanation.endswith(".")
        assert check.explanation.replace("...", "").count(". ") == 0


def test_a_check_that_is_left_out_is_not_made() -> None:
    only = Quality(checks=("length",), secrets=None, pii=None, mojibake=None)
    assert list(_checked(_table(_chat("")), only).flags) == ["length"]


def test_findings_stay_with_their_rows_over_many_batches() -> None:
    rows = [_chat(f"q{i}" if i % 1000 else "") for i in range(60_000)]
    table = pa.concat_tables([_table(*rows[:7]), _table(*rows[7:])])
    flags = _checked(table, Quality(checks=("empty",), pii=None, secrets=None)).flags
    assert flags["empty"].nonzero()[0].tolist() == list(range(0, 60_000, 1000))
