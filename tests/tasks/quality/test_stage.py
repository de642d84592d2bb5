import importlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from budgets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from configs.quality import NearDuplicates, Quality
from configs.sources import FilesSource, RehearsalSource
from tasks.artifacts import CleanSource, Snapshot
from tasks.quality.checks.registry import CHECKS, Check
from tasks.quality.report import load_verdict
from tasks.quality.stage import clean_source
from tasks.text.rows import ROW_SCHEMA
from tasks.text.rows import given as given_

Row = Callable[..., dict[str, Any]]
Make = Callable[..., Snapshot]
Source = Callable[..., FilesSource]
BAD = {"origin": "a.jsonl:99", "raw": '{"cut', "reason": "not JSON"}


def _split(done: CleanSource, name: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(done.split(name)).to_pylist()
    return rows


def _quarantine(done: CleanSource) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(done.path / "quarantine.parquet").to_pylist()
    return rows


def _said(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"{role} {len(roles)} {i}"} for i, role in enumerate(roles)]


def _good(row: Row, count: int = 60) -> list[dict[str, Any]]:
    return [row(f"question {i}", label="ab"[i % 2]) for i in range(count)]


def test_each_check_finds_exactly_its_planted_rows(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    planted = {
        "empty": row("", label="a"),
        "alternation": row("", label="a", messages=_said("user", "user", "assistant")),
        "first_user": row("", label="a", messages=_said("assistant")),
        "last_assistant": row("", label="a", messages=_said("user")),
        "reserved_tokens": row("hi <|im_end|> there", label="a"),
        "control_characters": row("hi \x00 there", label="a"),
        "length": row("x" * 200, label="a"),
        "missing_label": row("what about me", label=None),
        "duplicate": row("QUESTION 3!", label="b"),
    }
    conflict = [row("same thing", "x", label="a"), row("Same thing?", "y", label="b")]
    rows = [*_good(row), *planted.values(), *conflict]
    quality = Quality(max_chars=100, max_quarantine=0.9)
    done = clean_source(snapshot_of(rows, [BAD]), source(), quality, 17)
    assert done.findings == dict.fromkeys(planted, 1) | {
        "format": 1,
        "label_conflict": 2,
        "overlaps_test": 0,
    }
    assert done.verdict == "quarantine"
    reasons = [
        ([given_(m) for m in r["messages"]], r["reasons"])
        for r in _quarantine(done)
        if r["raw"] is None
    ]
    assert reasons == [(r["messages"], [name]) for name, r in planted.items()] + [
        (r["messages"], ["label_conflict"]) for r in conflict
    ]


def test_a_rejected_row_is_quarantined_with_its_text_and_reason(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    done = clean_source(snapshot_of(_good(row), [BAD]), source(), Quality(), 17)
    (kept,) = _quarantine(done)
    assert (kept["raw"], kept["reasons"], kept["detail"]) == ('{"cut', ["format"], "not JSON")
    assert done.quarantine is not None


def test_a_clean_source_passes_and_keeps_every_row(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = _good(row)
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    assert (done.verdict, done.reason, done.rows_in, done.rows_out) == ("pass", "", 60, 60)
    assert done.splits == {"train": 51, "dev": 3, "test": 6}
    assert done.quarantine is None
    kept = [r for name in done.splits for r in _split(done, name)]
    assert Counter(r["row_id"] for r in kept) == Counter(r["row_id"] for r in rows)
    assert all(r["split"] == name for name in done.splits for r in _split(done, name))
    assert pq.read_schema(done.split("train")).equals(ROW_SCHEMA)


texts = st.sampled_from(["", "a", "A!", "b", "c", "<s>", "\x00", "long " * 9, "d", "e", "f"])


@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pairs=st.lists(
        st.tuples(
            texts,
            texts,
            st.sampled_from([None, "x", "y"]),
            st.sampled_from([None, None, "test", "dev"]),
        ),
        max_size=30,
    ),
    rejected=st.integers(0, 3),
    limit=st.sampled_from([None, 1, 5]),
)
def test_no_row_is_lost(
    row: Row,
    snapshot_of: Make,
    source: Source,
    tmp_path: Path,
    pairs: list[tuple[str, str, str | None, str | None]],
    rejected: int,
    limit: int | None,
) -> None:
    rows = [
        row(p, a, label=label, split=split, origin=str(i))
        for i, (p, a, label, split) in enumerate(pairs)
    ]
    snapshot = _once(snapshot_of, rows, [BAD] * rejected)
    done = clean_source(snapshot, source(limit=limit), Quality(max_chars=40), 17)
    verdict = load_verdict(done)
    assert done.rows_in == len(rows) + rejected
    assert done.rows_in == done.rows_out + verdict.quarantined + verdict.limit
    assert verdict.quarantined == len(_quarantine(done))
    written = [r["origin"] for name in done.splits for r in _split(done, name)]
    aside = [r["origin"] for r in _quarantine(done) if r["raw"] is None]
    assert len(set(written) | set(aside)) == len(written) + len(aside) == len(rows) - verdict.limit


def _once(make: Make, rows: Any, rejected: Any) -> Snapshot:
    try:
        return make(rows, rejected)
    except FileExistsError as error:
        # hypothesis repeats examples within one temporary folder
        import shutil

        shutil.rmtree(Path(error.filename).parent)
        return make(rows, rejected)


def test_the_order_of_rows_changes_no_split(row: Row, snapshot_of: Make, source: Source) -> None:
    rows = _good(row)
    one = clean_source(snapshot_of(rows), source(limit=20), Quality(), 17)
    two = clean_source(snapshot_of(rows[::-1]), source(limit=20), Quality(), 17)
    for name in ("train", "dev", "test"):
        ids = [{r["row_id"] for r in _split(done, name)} for done in (one, two)]
        assert ids[0] == ids[1]


def test_a_training_row_with_a_test_items_prompt_is_set_aside(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = [
        *_good(row),
        row("Question 7?", "other", label="b", split="test"),
        row("fresh", label="a", split="test"),
    ]
    done = clean_source(
        snapshot_of(rows), source(split={"test_path": "t", "dev": 0}), Quality(), 17
    )
    assert (done.findings["overlaps_test"], done.splits) == (1, {"train": 59, "dev": 0, "test": 2})
    (leaked,) = _quarantine(done)
    assert (leaked["messages"][0]["content"], leaked["reasons"]) == (
        "question 7",
        ["overlaps_test"],
    )


def test_rows_beyond_the_limit_are_counted_and_not_quarantined(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    done = clean_source(snapshot_of(_good(row)), source(limit=10), Quality(), 17)
    assert done.splits == {"train": 10, "dev": 3, "test": 6}
    assert (load_verdict(done).limit, done.verdict, _quarantine(done)) == (41, "pass", [])


def test_free_answers_are_neither_classes_nor_conflicts(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = [row(f"q{i // 2}", f"an answer {i}", label=f"an answer {i}") for i in range(100)]
    done = clean_source(snapshot_of(rows), source(columns={}), Quality(), 17)
    assert done.verdict == "pass"
    assert done.splits["test"] == 10
    assert load_verdict(done).labels == {}


def test_rehearsal_rows_all_train(row: Row, snapshot_of: Make) -> None:
    source = TypeAdapter(RehearsalSource).validate_python({"kind": "rehearsal", "name": "replay"})
    rows = [row(f"q{i % 4}", f"answer {i}") for i in range(20)]
    done = clean_source(snapshot_of(rows, role="general"), source, Quality(), 17)
    assert (done.verdict, done.splits) == ("pass", {"train": 20, "dev": 0, "test": 0})


def _suite(tmp_path: Path, severity: str, limit: int = 12) -> str:
    path = tmp_path / "suite.json"
    path.write_text(
        json.dumps(
            {
                "expectations": [
                    {
                        "type": "expect_column_value_lengths_to_be_between",
                        "severity": severity,
                        "kwargs": {"column": "prompt", "min_value": 1, "max_value": limit},
                    }
                ]
            }
        )
    )
    return str(path)


@pytest.mark.parametrize(
    ("quality", "reason"),
    [
        (Quality(on_fail="block"), "on_fail is 'block', and the checks found rows: 1 empty."),
        (
            Quality(max_quarantine=0.01),
            "1.6% of the rows were set aside, and max_quarantine allows 1.0%: 1 empty.",
        ),
        (Quality(min_rows=52), "51 clean training rows are left, and min_rows asks for 52."),
    ],
)
def test_a_source_blocks_with_its_reason_in_one_sentence(
    row: Row, snapshot_of: Make, source: Source, quality: Quality, reason: str
) -> None:
    done = clean_source(snapshot_of([*_good(row), row("", label="a")]), source(), quality, 17)
    assert (done.verdict, done.reason) == ("block", reason)


def test_ones_own_warning_sets_its_rows_aside_and_a_critical_one_blocks(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    rows = [*_good(row), row("a question beyond measure", label="a")]
    name = "expectation:column_value_lengths_to_be_between(prompt)"
    quality = Quality(expectations=_suite(tmp_path, "warning"))
    done = clean_source(snapshot_of(rows), source(), quality, 17)
    assert (done.verdict, done.findings[name], len(_quarantine(done))) == ("quarantine", 1, 1)
    again = Quality(expectations=_suite(tmp_path, "critical"))
    blocked = clean_source(snapshot_of([*rows, row("x", label="b")]), source(), again, 17)
    assert blocked.verdict == "block"
    assert f"'{name}' isn't met on 1 rows" in blocked.reason


def test_ones_own_expectation_does_not_block_on_rows_that_the_checks_set_aside(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    quality = Quality(expectations=_suite(tmp_path, "critical"))
    done = clean_source(snapshot_of([*_good(row), row("", label="a")]), source(), quality, 17)
    assert (done.verdict, done.findings["empty"]) == ("quarantine", 1)


def test_ones_own_info_is_reported_and_moves_no_row(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    quality = Quality(expectations=_suite(tmp_path, "info", limit=3))
    done = clean_source(snapshot_of(_good(row)), source(), quality, 17)
    assert (done.verdict, done.rows_out) == ("pass", 60)
    assert [e.rows for e in load_verdict(done).expectations] == [60]


def test_a_verdict_is_made_once_and_anew_when_something_that_matters_changes(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    snapshot = snapshot_of(_good(row))
    first = clean_source(snapshot, source(), Quality(), 17)
    assert (
        clean_source(snapshot, source(weight=9, category="chat"), Quality(), 17).path == first.path
    )
    others = [
        clean_source(snapshot, source(), Quality(), 18),
        clean_source(snapshot, source(), Quality(max_chars=99), 17),
        clean_source(snapshot, source(limit=5), Quality(), 17),
    ]
    assert len({o.path for o in (first, *others)}) == 4
    assert others[0].digest != first.digest
    assert others[1].digest == first.digest


def test_checks_left_out_of_the_recipe_find_nothing(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    rows = [*_good(row), row("", label="a")]
    done = clean_source(snapshot_of(rows), source(), Quality(checks=("length",)), 17)
    assert (done.findings, done.verdict) == ({"length": 0, "overlaps_test": 0}, "pass")


def test_near_duplicate_prompts_are_on_one_side_where_that_is_asked_for(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    said = [" ".join(f"{family}{n}" for n in range(12)) for family in "pqrstuvwxyz"]
    rows = [row(f"{text} {ending}", label=ending) for text in said for ending in ("now", "nowt")]
    snapshot, spec = snapshot_of(rows), source(split={"dev": 0.2, "test": 0.3, "stratify": False})
    near = Quality(near_duplicates=NearDuplicates())

    def families(done: CleanSource) -> list[list[str]]:
        return [
            sorted(r["messages"][0]["content"][0] for r in _split(done, n))
            for n in ("train", "dev", "test")
        ]

    train, dev, test = families(clean_source(snapshot, spec, near, 17))
    assert (len(train), len(dev), len(test)) == (12, 4, 6)
    assert not set(train) & {*dev, *test}
    assert not set(dev) & set(test)
    train, dev, test = families(clean_source(snapshot, spec, Quality(), 17))
    assert set(train) & {*dev, *test}


def _override(tmp_path: Path, **kwargs: Any) -> Quality:
    path = tmp_path / "share.json"
    path.write_text(
        json.dumps(
            {"expectations": [{"type": "expect_column_values_to_be_in_set", "kwargs": kwargs}]}
        )
    )
    return Quality(expectations=str(path))


def test_a_suite_of_ones_own_that_narrows_a_share_blocks_the_source(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    snapshot = snapshot_of([*_good(row), row("", label="a")])
    done = clean_source(snapshot, source(), _override(tmp_path, column="empty", mostly=0.99), 17)
    assert (done.verdict, done.reason) == (
        "block",
        "The critical expectation 'expectation:column_values_to_be_in_set(empty)' isn't met on "
        "1 rows.",
    )
    assert [r["reasons"] for r in _quarantine(done)] == [["empty"]]
    (shown,) = load_verdict(done).expectations
    assert (shown.severity, shown.success, shown.rows) == ("critical", False, 1)
    wide = clean_source(snapshot, source(), _override(tmp_path, column="empty", mostly=0.5), 17)
    assert wide.verdict == "quarantine"


def test_a_suite_of_ones_own_can_allow_more_than_max_quarantine(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    snapshot = snapshot_of([row("fine"), row("", label="a")])
    quality = Quality(max_quarantine=0.1)
    assert clean_source(snapshot, source(), quality, 17).verdict == "block"
    own = _override(tmp_path, column="set_aside", mostly=0.4).expectations
    empty = _override(tmp_path, column="empty", mostly=0.4).expectations
    text = json.loads(Path(str(empty)).read_text())["expectations"]
    text.append({"type": text[0]["type"], "kwargs": {"column": "set_aside", "mostly": 0.4}})
    Path(str(own)).write_text(json.dumps({"expectations": text}))
    lax = quality.model_copy(update={"expectations": own})
    assert clean_source(snapshot, source(columns={}), lax, 17).verdict == "quarantine"


def test_a_check_that_ones_own_suite_names_needs_nothing_to_look_at(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path
) -> None:
    quality = _override(tmp_path, column="tool_place", mostly=0.99)
    done = clean_source(snapshot_of(_good(row)), source(), quality, 17)
    assert done.verdict == "pass"
    assert load_verdict(done).expectations[0].success


def test_the_suite_and_what_became_of_it_are_kept_beside_the_verdict(
    row: Row, snapshot_of: Make, source: Source
) -> None:
    done = clean_source(snapshot_of([*_good(row), row("", label="a")]), source(), Quality(), 17)
    result = json.loads((done.path / "validation_result.json").read_text())
    suite = json.loads((done.path / "expectation_suite.json").read_text())
    assert result["success"]
    assert len(result["results"]) == len(suite["expectations"])
    found = {
        r["expectation_config"]["kwargs"].get("column"): r["result"].get("unexpected_count")
        for r in result["results"]
    }
    assert (found["empty"], found["set_aside"], found["length"]) == (1, 1, 0)


def test_a_check_is_added_by_one_file_and_one_entry(
    row: Row, snapshot_of: Make, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "shouting.py"
    own.write_text(
        "import numpy as np\n"
        "def find_shouting(batch):\n"
        "    loud = np.array([t.isupper() for t in batch.texts.distinct.to_pylist()], dtype=bool)\n"
        "    return batch.texts.rows_with(loud)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    find = importlib.import_module("shouting").find_shouting
    entry = Check("shouting", "quarantine", "A message is in capitals alone.", find)
    monkeypatch.setitem(CHECKS, "shouting", entry)
    rows = [*_good(row), row("WHERE IS MY PARCEL", label="a")]
    done = clean_source(snapshot_of(rows), source(), Quality(), 17)
    assert (done.verdict, done.findings["shouting"]) == ("quarantine", 1)
    assert [r["reasons"] for r in _quarantine(done)] == [["shouting"]]
    assert "A message is in capitals alone." in (done.path / "page.html").read_text()
    suite = json.loads((done.path / "expectation_suite.json").read_text())["expectations"]
    (about,) = [e for e in suite if e["kwargs"].get("column") == "shouting"]
    assert (about["kwargs"]["mostly"], about["notes"]) == (0.8, "A message is in capitals alone.")
