"""The shapes in which data sets are published, each read or refused with what to write."""

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.sources import FilesSource
from tasks.artifacts import Snapshot
from tasks.errors import SourceError
from tasks.ingest.stage import make_snapshot

TURNS = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi there."},
    {"role": "user", "content": "And now?"},
    {"role": "assistant", "content": "Bye."},
]
SAID = [(turn["role"], turn["content"]) for turn in TURNS]
GPT = {"user": "human", "assistant": "gpt"}


@pytest.fixture
def ingest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Snapshot]:
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "home"))

    def make(rows: Any, name: str = "a.jsonl", **fields: Any) -> Snapshot:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(rows), path)
        elif name.endswith(".json"):
            path.write_text(json.dumps(rows))
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = {"kind": "files", "name": "x", "role": "domain", "path": str(path)}
        return make_snapshot(FilesSource.model_validate(given | fields))

    return make


def rows_of(snapshot: Snapshot) -> list[dict[str, Any]]:
    files = sorted((snapshot.path / "rows").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def said_in(snapshot: Snapshot) -> list[tuple[str, str]]:
    (row,) = rows_of(snapshot)
    return [(m["role"], m["content"]) for m in row["messages"]]


def reasons_of(snapshot: Snapshot) -> list[str]:
    return list(pq.read_table(snapshot.path / "rejected.parquet")["reason"].to_pylist())


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"messages": TURNS}, {}),
        ({"messages": json.dumps(TURNS)}, {}),
        ({"conversations": TURNS}, {}),
        ({"conversations": json.dumps(TURNS)}, {}),
        ({"conversations": [{"from": GPT[r], "value": c} for r, c in SAID]}, {}),
        ({"messages": [{"from": GPT[r], "value": c} for r, c in SAID]}, {}),
        ({"messages": {"role": [r for r, _ in SAID], "content": [c for _, c in SAID]}}, {}),
        ({"prompt": TURNS[:3], "completion": TURNS[3:]}, {}),
        ({"prompt": json.dumps(TURNS[:3]), "completion": json.dumps(TURNS[3:])}, {}),
        ({"prompt": TURNS[:3], "completion": "Bye."}, {}),
        ({"instruction": "And now?", "output": "Bye.", "history": [["Hello", "Hi there."]]}, {}),
        (
            {"instruction": "And now?", "output": "Bye.", "history": '[["Hello", "Hi there."]]'},
            {},
        ),
        ({"chat": TURNS}, {"columns": {"messages": "chat"}}),
        ({"deep": {"er": [{"talk": TURNS}]}}, {"columns": {"messages": "deep.er[0].talk"}}),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_a_conversation_is_read_however_it_is_stored(
    ingest: Callable[..., Snapshot], row: dict[str, Any], fields: dict[str, Any], name: str
) -> None:
    assert said_in(ingest([row], name, **fields)) == SAID


def test_an_unknown_column_of_turns_has_a_fix_that_works(ingest: Callable[..., Snapshot]) -> None:
    with pytest.raises(SourceError, match=r"columns: \{messages: chat\}"):
        ingest([{"chat": TURNS}])


def test_messages_in_pythons_notation_say_so(ingest: Callable[..., Snapshot]) -> None:
    with pytest.raises(SourceError, match="Python's way of writing a list"):
        ingest([{"messages": str(TURNS)}])


@pytest.mark.parametrize(
    "mark",
    [
        {"train": False},
        {"trainable": False},
        {"training": "false"},
        {"loss": False},
        {"loss_mask": 0},
        {"weight": 0},
        {"weight": 0.5},
        {"loss_weight": 2},
        {"masked": True},
    ],
)
def test_an_answer_its_author_excluded_is_never_learnt(
    ingest: Callable[..., Snapshot], mark: dict[str, Any]
) -> None:
    marked = [*TURNS[:3], TURNS[3] | mark]
    made = ingest([{"messages": TURNS}, {"messages": marked}])
    assert (made.rows, made.rejected) == (1, 1)
    assert f"message 4: '{next(iter(mark))}' is" in reasons_of(made)[0]
    named = [{"from": GPT[t["role"]], "value": t["content"]} for t in marked]
    named[3] |= mark
    assert ingest([{"conversations": TURNS}, {"conversations": named}], "b.jsonl").rejected == 1


@pytest.mark.parametrize("mark", [{"train": True}, {"weight": 1}, {"loss": True}, {"weight": 1.0}])
def test_a_mark_that_changes_nothing_is_no_fault(
    ingest: Callable[..., Snapshot], mark: dict[str, Any]
) -> None:
    # Nothing but answers is trained on, so that a question may be marked either way.
    row = [TURNS[0] | {"train": False, "weight": 0}, TURNS[1] | mark]
    made = ingest([{"messages": row}])
    assert said_in(made) == SAID[:2]
    assert rows_of(made)[0]["extra"] is None


def test_answers_marked_as_good_or_bad_are_refused(ingest: Callable[..., Snapshot]) -> None:
    rows = [{"prompt": "a", "completion": "b", "label": good} for good in (True, False)]
    with pytest.raises(SourceError, match="as for KTO"):
        ingest(rows)


@pytest.mark.parametrize("nothing", ["", "  ", None])
def test_an_empty_system_message_is_left_out(
    ingest: Callable[..., Snapshot], nothing: str | None
) -> None:
    row = {"messages": [{"role": "system", "content": nothing}, *TURNS]}
    assert said_in(ingest([row])) == SAID
    led = ingest([row], "b.jsonl", system="Be kind.")
    assert said_in(led) == [("system", "Be kind."), *SAID]


NAMES = ["I", "?", "#", "%", "two words", " padded ", "数量", "a.b", "a[0]", "Ж", "100%", "x/y"]


@pytest.mark.parametrize("name", NAMES)
def test_a_column_may_be_called_anything(ingest: Callable[..., Snapshot], name: str) -> None:
    rows = [{name: "question", f"{name} too": "answer"}]
    columns = {"prompt": f"Say: {{{name}}}", "completion": f"{name} too"}
    wanted = [("user", "Say: question"), ("assistant", "answer")]
    assert said_in(ingest(rows, columns=columns)) == wanted


@pytest.mark.parametrize("folder", ["what?", "a#b", "100%", "two words", "数据", "[x]", "*"])
def test_a_path_may_be_called_anything(ingest: Callable[..., Snapshot], folder: str) -> None:
    assert said_in(ingest([{"messages": TURNS}], f"{folder}/a.jsonl")) == SAID


PUBLISHED = {
    "train": [["where is my card", "card"], ["what is due", "bill"], ["hello", "oos"]],
    "val": [["cancel it", "card"]],
}


def test_lists_of_lists_are_read_by_field_and_place(ingest: Callable[..., Snapshot]) -> None:
    columns = {"prompt": "Which intent?\n\n{0}", "completion": "{1}"}
    with pytest.raises(SourceError, match=r"train \(3\), val \(1\).*field: train") as refused:
        ingest(PUBLISHED, "a.json", columns=columns)
    assert "damaged" not in str(refused.value)
    made = ingest(PUBLISHED, "a.json", columns=columns, field="train", split={"test_field": "val"})
    found = rows_of(made)
    assert [(r["messages"][0]["content"], r["label"], r["split"]) for r in found] == [
        *(("Which intent?\n\n" + text, label, None) for text, label in PUBLISHED["train"]),
        ("Which intent?\n\ncancel it", "card", "test"),
    ]


@pytest.mark.parametrize("field", ["parts[0].rows", "parts.0.rows"])
def test_rows_inside_other_things_are_found_by_their_path(
    ingest: Callable[..., Snapshot], field: str
) -> None:
    text = {"version": 2, "parts": [{"rows": [{"messages": TURNS}]}]}
    assert said_in(ingest(text, "a.json", field=field)) == SAID
    with pytest.raises(SourceError, match="its fields are version, parts"):
        ingest(text, "a.json", field="part.rows")
    with pytest.raises(SourceError, match=r"inside a \.json file"):
        ingest([{"messages": TURNS}], "a.jsonl", field=field)


@pytest.mark.parametrize("text", [{"data": [{"messages": TURNS}]}, [{"messages": TURNS}]])
def test_the_only_list_of_a_file_is_its_rows(ingest: Callable[..., Snapshot], text: Any) -> None:
    assert said_in(ingest(text, "a.json")) == SAID


def test_holes_reach_into_lists(ingest: Callable[..., Snapshot]) -> None:
    rows = [{"instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}]}]
    columns = {
        "prompt": "{instruction}\n\n{instances[0].input}",
        "completion": "{instances[0].output}",
    }
    assert said_in(ingest(rows, columns=columns)) == [("user", "Add.\n\n1 1"), ("assistant", "2")]


def test_a_folder_of_save_to_disk_is_read_as_the_library_reads_it(
    ingest: Callable[..., Snapshot], tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_list([{"messages": TURNS}, {"messages": TURNS[:2]}])
    made.save_to_disk(tmp_path / "one")
    (data,) = (tmp_path / "one").glob("data-*")
    (tmp_path / "one" / "cache-1.arrow").write_bytes(data.read_bytes())
    snapshot = ingest([], "x.jsonl", path=str(tmp_path / "one"))
    assert (snapshot.rows, snapshot.rejected) == (2, 0)
    datasets.DatasetDict(train=made, test=made).save_to_disk(tmp_path / "two")
    with pytest.raises(SourceError, match="splits test, train"):
        ingest([], "x.jsonl", path=str(tmp_path / "two"))
    assert ingest([], "x.jsonl", path=str(tmp_path / "two" / "train")).rows == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.sampled_from(["café", "hôtel", "tiếng Việt", "가방", "か゚"]))
def test_one_label_in_both_normal_forms_is_one_label(
    ingest: Callable[..., Snapshot], label: str
) -> None:
    forms = [unicodedata.normalize(form, label) for form in ("NFC", "NFD")]
    rows = [{"prompt": f"row {i}", "completion": form} for i, form in enumerate(forms)]
    assert len({row["label"] for row in rows_of(ingest(rows))}) == 1
