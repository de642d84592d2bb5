import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.sources import FilesSource
from tasks.artifacts import Snapshot
from tasks.errors import SourceError
from tasks.files import snapshot as snapshot_module
from tasks.ingest.stage import make_snapshot
from tasks.text.rows import ROW_SCHEMA, given, row_id

MAPPED = {"prompt": "Classify: {review}", "completion": "category", "label": "category"}


def _source(path: Path, **fields: Any) -> FilesSource:
    base = {"name": "voc", "role": "domain", "kind": "files", "path": str(path)}
    return TypeAdapter(FilesSource).validate_python(base | fields)


def _rows(snapshot: Snapshot) -> list[dict[str, Any]]:
    shards = sorted((snapshot.path / "rows").glob("*.parquet"))
    return [row for shard in shards for row in pq.read_table(shard).to_pylist()]


def _rejected(snapshot: Snapshot) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(snapshot.path / "rejected.parquet").to_pylist()
    return rows


@pytest.fixture
def reviews(tmp_path: Path, temper_home: Path) -> Path:
    path = tmp_path / "reviews.jsonl"
    lines = [json.dumps({"review": f"r{i}", "category": "ab"[i % 2]}) for i in range(6)]
    lines[3] = '{"review": "cut'
    lines.append(json.dumps({"category": "a"}))
    path.write_text("\n".join(lines))
    return path


def test_a_row_is_kept_with_identity_label_and_origin(reviews: Path) -> None:
    row = _rows(make_snapshot(_source(reviews, columns=MAPPED)))[1]
    messages = [{"role": "user", "content": "Classify: r1"}, {"role": "assistant", "content": "b"}]
    assert [given(m) for m in row.pop("messages")] == messages
    assert row == dict.fromkeys(ROW_SCHEMA.names[2:]) | {
        "row_id": row_id(messages),
        "label": "b",
        "origin": "reviews.jsonl:2",
    }  # type: ignore[arg-type]


def test_rows_that_cannot_be_used_are_kept_with_their_text_and_reason(reviews: Path) -> None:
    snapshot = make_snapshot(_source(reviews, columns=MAPPED))
    assert (snapshot.rows, snapshot.rejected) == (5, 2)
    broken, lacking = _rejected(snapshot)
    assert (broken["origin"], broken["raw"]) == ("reviews.jsonl:4", '{"review": "cut')
    assert broken["reason"].startswith("not JSON")
    assert json.loads(lacking["raw"]) == {"category": "a"}
    assert lacking["reason"] == "the row has no 'review'"


def test_the_snapshot_has_the_chat_row_schema(reviews: Path) -> None:
    snapshot = make_snapshot(_source(reviews, columns=MAPPED))
    assert pq.read_schema(snapshot.path / "rows" / "part-00000.parquet").equals(ROW_SCHEMA)


def test_the_answer_is_the_label_of_a_domain_row_and_of_no_other(
    tmp_path: Path, temper_home: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "x", "completion": " yes "}\n{"prompt": "y", "completion": ""}')
    assert [r["label"] for r in _rows(make_snapshot(_source(path)))] == ["yes", None]
    assert [r["label"] for r in _rows(make_snapshot(_source(path, role="general")))] == [None, None]


def test_a_mapped_label_is_never_replaced_by_the_answer(tmp_path: Path, temper_home: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"q": "x", "a": "y", "l": null}\n{"q": "x", "a": "y", "l": "z"}')
    mapping = {"prompt": "q", "completion": "a", "label": "l"}
    assert [r["label"] for r in _rows(make_snapshot(_source(path, columns=mapping)))] == [None, "z"]


def test_given_split_files_mark_their_rows(tmp_path: Path, temper_home: Path) -> None:
    for name in ("train", "dev", "test"):
        (tmp_path / f"{name}.jsonl").write_text(
            json.dumps({"prompt": name, "completion": "x"}) + "\n"
        )
    snapshot = make_snapshot(
        _source(
            tmp_path / "train.jsonl",
            split={
                "dev_path": str(tmp_path / "dev.jsonl"),
                "test_path": str(tmp_path / "test.jsonl"),
            },
        )
    )
    got = [(r["messages"][0]["content"], r["split"]) for r in _rows(snapshot)]
    assert got == [("train", None), ("dev", "dev"), ("test", "test")]


def test_a_snapshot_is_made_once_and_found_again(reviews: Path) -> None:
    first = make_snapshot(_source(reviews, columns=MAPPED))
    made = (first.path / "manifest.json").stat().st_mtime_ns
    assert make_snapshot(_source(reviews, columns=MAPPED)) == first
    assert (first.path / "manifest.json").stat().st_mtime_ns == made


def test_weights_limits_fractions_and_file_names_make_no_new_snapshot(reviews: Path) -> None:
    first = make_snapshot(_source(reviews, columns=MAPPED))
    moved = reviews.rename(reviews.with_name("other.jsonl"))
    again = make_snapshot(
        _source(moved, columns=MAPPED, weight=3, limit=2, category="chat", split={"test": 0.3})
    )
    assert again.path == first.path
    assert (again.origin.uri, again.origin.category) == (str(moved), "chat")


def test_a_changed_file_makes_a_new_snapshot(reviews: Path) -> None:
    first = make_snapshot(_source(reviews, columns=MAPPED))
    reviews.write_text(reviews.read_text().replace("r0", "R0"))
    second = make_snapshot(_source(reviews, columns=MAPPED))
    assert second.path != first.path
    assert second.digest != first.digest


def test_a_damaged_snapshot_is_made_anew(reviews: Path) -> None:
    first = make_snapshot(_source(reviews, columns=MAPPED))
    (first.path / "rows" / "part-00000.parquet").write_bytes(b"cut")
    assert len(_rows(make_snapshot(_source(reviews, columns=MAPPED)))) == 5


def test_the_digest_is_of_rows_and_not_of_containers(reviews: Path, tmp_path: Path) -> None:
    rows = [{"review": f"r{i}", "category": "ab"[i % 2]} for i in (0, 1, 2, 4, 5)]
    (tmp_path / "same.json").write_text(json.dumps(rows))
    jsonl, listed = (
        make_snapshot(_source(p, columns=MAPPED)) for p in (reviews, tmp_path / "same.json")
    )
    assert jsonl.path != listed.path
    assert jsonl.digest == listed.digest


def test_half_a_surrogate_pair_is_a_rejected_row(tmp_path: Path, temper_home: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "good"}\n{"text": "bad \\ud800"}')
    snapshot = make_snapshot(_source(path))
    assert snapshot.rejected == 1
    assert json.loads(_rejected(snapshot)[0]["raw"]) == {"text": "bad \ud800"}


def test_shards_hold_fifty_thousand_rows(tmp_path: Path, temper_home: Path) -> None:
    count = snapshot_module.SHARD_ROWS + 7
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "t{i}"}}\n' for i in range(count)))
    snapshot = make_snapshot(_source(path))
    shards = sorted((snapshot.path / "rows").glob("*"))
    assert [s.name for s in shards] == ["part-00000.parquet", "part-00001.parquet"]
    assert [pq.read_metadata(s).num_rows for s in shards] == [snapshot_module.SHARD_ROWS, 7]
    assert _rows(snapshot)[-1]["messages"][0]["content"] == f"t{count - 1}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("not json\nat all", "none of the first 2 rows can be read"),
        ('{"review": "x"}', "no known row format"),
        ('{"prompt": ["x"], "completion": "y"}', "no row can be converted; in the first, 'prompt'"),
    ],
)
def test_a_source_without_a_usable_row_is_an_error_and_leaves_nothing(
    tmp_path: Path, temper_home: Path, text: str, message: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        make_snapshot(_source(path))
    left = temper_home / "snapshots"
    assert not left.exists() or list(left.iterdir()) == []


def test_wrong_columns_stop_before_the_rest_is_read(tmp_path: Path, temper_home: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"review": "x", "category": "y"}\n' * 5000)
    with pytest.raises(
        SourceError, match="names 'label', but the columns are 'review', 'category'"
    ):
        make_snapshot(_source(path, columns={**MAPPED, "label": "label"}))


@pytest.mark.shared_data
def test_real_instruction_data_is_read_whole(shared_data: Path, temper_home: Path) -> None:
    dolly = make_snapshot(_source(shared_data / "dolly_partial", name="dolly", role="general"))
    assert (dolly.rows, dolly.rejected) == (6400, 0)
    seeds = make_snapshot(
        _source(
            shared_data / "self_instruct" / "seed_tasks.jsonl.gz",
            name="seeds",
            role="general",
            columns={
                "prompt": "{instruction}\n\n{instances.0.input}",
                "completion": "instances.0.output",
            },
        )
    )
    assert (seeds.rows, seeds.rejected) == (175, 0)


def test_a_source_can_give_every_row_a_system_message(temper_home, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    source = FilesSource(name="s", role="domain", kind="files", path=str(path), system="Be brief.")
    (row,) = pq.read_table(make_snapshot(source).path / "rows").to_pylist()
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
    assert row["messages"][0]["content"] == "Be brief."


def test_the_snapshot_says_which_format_was_taken(reviews: Path, tmp_path: Path) -> None:
    assert make_snapshot(_source(reviews, columns=MAPPED)).formats == (
        "Row format: columns, as the recipe says.",
    )
    path = tmp_path / "a.jsonl"
    path.write_text('{"prompt": "x", "completion": "y"}\n' * 3 + '{"text": "z"}\n')
    made = make_snapshot(_source(path))
    assert made.formats == (
        "Row format: completion, which 3 of the first 4 rows have. Others look like: 1 text.",
    )
    assert (made.rows, made.rejected) == (3, 1)
    assert make_snapshot(_source(path)).formats == made.formats


def test_pairs_and_questions_are_kept_with_what_makes_them_so(
    tmp_path: Path, temper_home: Path
) -> None:
    pairs, questions = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    pairs.write_text('{"prompt": "q", "chosen": "good", "rejected": "bad"}\n')
    questions.write_text(
        '{"messages": [{"role": "user", "content": "6*7?"}], "reference_answer": {"answer": 42}}\n'
    )
    (pair,) = _rows(make_snapshot(_source(pairs)))
    assert (given(pair["rejected"]), pair["label"]) == (
        {"role": "assistant", "content": "bad"},
        None,
    )
    (question,) = _rows(make_snapshot(_source(questions)))
    assert question["reference"] == '{"answer":42}'
    assert pair["row_id"] != question["row_id"]


@pytest.mark.shared_data
def test_real_preference_data_is_read_whole(shared_data: Path, temper_home: Path) -> None:
    made = make_snapshot(_source(shared_data / "coconot" / "coconot_pref.jsonl.gz", role="general"))
    assert made.rejected == 0
    assert all(r["rejected"]["content"] for r in _rows(made))
