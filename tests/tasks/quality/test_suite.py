import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.quality import PRESIDIO_KINDS, Quality
from tasks.errors import DataError
from tasks.quality.checks.registry import CHECKS
from tasks.quality.suite import (
    IN_SET,
    NOT_NULL,
    ROW_COUNT,
    describe_suite,
    expectation_key,
    fit_suite,
    override,
    read_own_suite,
    shipped_suite,
)


def _about(quality: Quality, column: str) -> dict[str, Any]:
    (found,) = [e for e in shipped_suite(quality) if expectation_key(e) == (IN_SET, column)]
    return found


def _share(quality: Quality, column: str) -> tuple[str, float]:
    found = _about(quality, column)
    return found["severity"], found["kwargs"]["mostly"]


def test_every_check_but_the_count_has_its_column_and_is_explained() -> None:
    everything = Quality(languages=("en",), min_chars=1)
    columns = {column for _, column in map(expectation_key, shipped_suite(everything))}
    # Presidio's own kinds are looked for where its engine is.
    without = {"row_count", *(f"pii_{kind}" for kind in PRESIDIO_KINDS)}
    assert set(CHECKS) - without <= columns
    assert all(e["notes"].endswith(".") for e in shipped_suite(everything))


def test_shares_follow_severity_and_max_quarantine() -> None:
    quality = Quality(max_quarantine=0.7, severity={"empty": "block", "length": "report"})
    assert _share(quality, "duplicate") == ("critical", 0.3)
    assert _share(quality, "set_aside") == ("critical", 0.3)
    assert _share(quality, "empty") == ("critical", 1.0)
    assert _share(quality, "length") == ("warning", 1.0)
    assert _share(quality, "near_duplicate") == ("critical", 0.0)
    assert _share(Quality(on_fail="block"), "set_aside") == ("critical", 1.0)


@given(permille=st.integers(0, 1000), rows=st.integers(1, 5000), data=st.data())
def test_a_share_is_met_just_where_max_quarantine_allows_it(
    permille: int, rows: int, data: st.DataObject
) -> None:
    allowed = permille / 1000
    aside = data.draw(st.sampled_from([permille * rows // 1000, permille * rows // 1000 + 1]))
    mostly = _share(Quality(max_quarantine=allowed), "set_aside")[1]
    met = (rows - aside) / rows >= mostly
    assert met == (Decimal(aside) * 1000 <= permille * rows)


def test_a_check_that_is_left_out_expects_nothing() -> None:
    keys = {expectation_key(e) for e in shipped_suite(Quality(checks=("length",)))}
    assert (IN_SET, "empty") not in keys
    assert (NOT_NULL, "label") not in keys
    assert (IN_SET, "length") in keys


def test_the_row_count_takes_the_recipes_and_the_targets_bounds() -> None:
    def bounds(**fields: Any) -> tuple[int, int | None]:
        (rows,) = [e for e in shipped_suite(Quality(**fields)) if e["type"] == ROW_COUNT]
        return rows["kwargs"]["min_value"], rows["kwargs"].get("max_value")

    assert bounds(min_rows=3) == (3, None)
    assert bounds(min_rows=3, target="bedrock") == (8, 20_000)
    assert bounds(min_rows=3, target="bedrock", severity={"row_count": "report"}) == (3, None)


def test_ones_own_expectation_overrides_the_same_type_and_column_and_others_are_added() -> None:
    shipped = shipped_suite(Quality())
    own = [
        {"type": IN_SET, "kwargs": {"column": "empty", "mostly": 0.99}, "meta": {"own": True}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "empty"}},
    ]
    suite, added = override(shipped, own)
    assert added == own[1:]
    (changed,) = [e for e in suite if e not in shipped]
    before = _about(Quality(), "empty")
    assert changed["kwargs"] == before["kwargs"] | {"mostly": 0.99}
    assert changed["severity"] == "critical"
    assert changed["notes"] == before["notes"]
    assert shipped == shipped_suite(Quality())


def test_what_a_source_has_nothing_for_is_left_out_unless_one_wrote_it() -> None:
    own = [{"type": IN_SET, "kwargs": {"column": "tool_place"}, "meta": {"own": True}}]
    suite, _ = override(shipped_suite(Quality()), own)
    keys = [expectation_key(e) for e in fit_suite(suite, ["empty"], labels=False, classes=False)]
    assert {(IN_SET, "empty"), (IN_SET, "tool_place"), (IN_SET, "set_aside")} <= set(keys)
    assert not {(IN_SET, "tools_missing"), (NOT_NULL, "label"), (IN_SET, "label")} & set(keys)


def test_a_suite_is_told_in_words() -> None:
    said = {row[0]: row[1:] for row in describe_suite(shipped_suite(Quality()))}
    assert said["table"] == [
        'row_count_to_be_between: min_value 1, where use is "train"',
        "critical",
    ]
    assert said["identity"] == ["values_to_be_unique: where set_aside is false", "critical"]
    assert said["empty"] == ["values_to_be_in_set: [false], mostly 0.8", "critical"]


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"expectations": 3}', '{"expectations": [{"kwargs": {}}]}']
)
def test_a_file_that_is_no_suite_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "suite.json"
    path.write_text(text)
    with pytest.raises(DataError, match="suite"):
        read_own_suite(path)


def test_a_suite_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        read_own_suite(tmp_path / "none.json")


def test_a_suite_is_read_as_great_expectations_writes_it(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    about = {"type": IN_SET, "severity": "warning", "id": None, "meta": {}, "kwargs": {}}
    path.write_text(json.dumps({"name": "mine", "expectations": [about], "meta": {}}))
    (read,) = read_own_suite(path)
    assert (read["type"], read["severity"], read["meta"]) == (IN_SET, "warning", {"own": True})
