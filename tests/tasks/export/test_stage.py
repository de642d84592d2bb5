import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import CleanSource, MixtureReceipt, Origin
from tasks.errors import DataError, SetupError, StorageError
from tasks.export import croissant
from tasks.export.data_card import make_data_card
from tasks.export.formats import (
    CONVERTERS,
    Unheld,
    convert_alpaca,
    convert_converse,
    convert_openai,
)
from tasks.export.stage import ExportRequest, export_mixture
from tasks.storage import building, commit, home
from tasks.text.rows import ROW_SCHEMA, row_id

SYSTEM = {"role": "system", "content": "Be brief."}
ASK, TELL = {"role": "user", "content": "Wo? | „hier“"}, {"role": "assistant", "content": "da\n"}
SHAPES: list[list[Any]] = [
    [ASK, TELL],
    [SYSTEM, ASK, TELL],
    [ASK, TELL, ASK, TELL],
    [{"role": "text", "content": "plain"}],
]


def chat(i: int, shape: int) -> dict[str, Any]:
    messages = [{**m, "content": f"{m['content']} {i}"} for m in SHAPES[shape]]
    return {"row_id": row_id(messages), "messages": messages}  # type: ignore[arg-type]


def source(name: str, role: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    folder = home("clean", f"{name}-1")
    about = {
        "name": name,
        "role": role,
        "category": None,
        "licence": "CC-BY-4.0",
        "uri": f"{name}.jsonl",
        "revision": None,
    }
    with building(folder) as aside:
        table = pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
        pq.write_table(table, aside / "train.parquet")
        commit(
            aside,
            CleanSource(
                path=folder,
                digest=f"d-{name}",
                verdict="pass",
                reason="",
                rows_in=len(rows),
                rows_out=len(rows),
                findings={"empty": 3},
                splits={"train": len(rows)},
                origin=Origin(**about),
            ),
        )
    units = dict.fromkeys(("rows", "tokens", "supervised_tokens"), 4)
    return {
        **about,
        **units,
        "clean_digest": f"d-{name}",
        "weight": 1.0,
        "share": 0.5,
        "epochs": 1.0,
        "share_got": dict.fromkeys(units, 0.5),
        "rows_in": len(rows),
        "findings": {"empty": 3},
        "left_out": {"too_long": 2},
        "rows_available": len(rows),
    }


@pytest.fixture
def rows(temper_home: Path) -> list[tuple[str, dict[str, Any]]]:
    """Eight rows in plan order, of two sources and all shapes; the first comes twice."""
    voc = [chat(i, i % 2) for i in range(4)]
    general = [chat(i, 2 + i % 2) for i in range(4, 7)]
    pairs = [
        ("voc", voc[0]),
        ("chat", general[0]),
        ("voc", voc[1]),
        ("chat", general[1]),
        ("voc", voc[0]),
        ("chat", general[2]),
        ("voc", voc[2]),
        ("voc", voc[3]),
    ]
    return pairs


@pytest.fixture
def mixture(rows: Any) -> MixtureReceipt:
    folder = home("mixtures", "m")
    named = {name: [r for n, r in rows if n == name] for name in ("voc", "chat")}
    lock = {
        "version": 1,
        "mixture_digest": "a1" * 32,
        "plan_digest": "b",
        "code_digest": "c",
        "tokenizer_digest": "t",
        "seed": 5,
        "unit": "tokens",
        "total": 8,
        "mixture": {"exclude_overlap_with": ["mmlu"]},
        "sources": [
            source("voc", "domain", named["voc"]),
            source("chat", "general", named["chat"]),
        ],
    }
    table = pa.table(
        {
            "position": range(8),
            "row_id": [r["row_id"] for _, r in rows],
            "source": pa.array([n for n, _ in rows]).dictionary_encode(),
        }
    )
    with building(folder) as aside:
        pq.write_table(table.slice(0, 5), aside / "shard-00000.parquet")
        pq.write_table(table.slice(5), aside / "shard-00001.parquet")
        (aside / "mixture.lock.json").write_text(json.dumps(lock))
        return commit(
            aside,
            MixtureReceipt(
                path=folder,
                digest="a1" * 32,
                rows=8,
                tokens=8,
                supervised_tokens=8,
                sources=("chat", "voc"),
                shards=("shard-00000.parquet", "shard-00001.parquet"),
            ),
        )


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("form", ["openai", "converse", "alpaca"])
def test_every_row_is_written_in_plan_order_or_named_with_its_reason(
    mixture: MixtureReceipt, rows: Any, tmp_path: Path, form: Any
) -> None:
    made = export_mixture(mixture, ExportRequest(form, tmp_path / "out"))
    expected, left = [], []
    for position, (name, row) in enumerate(rows):
        try:
            expected.append(CONVERTERS[made.format](row["messages"]))
        except Unheld as reason:
            left.append(
                {
                    "position": position,
                    "source": name,
                    "row_id": row["row_id"],
                    "reason": str(reason),
                }
            )
    assert lines(made.path / "train.jsonl") == expected
    assert lines(made.path / "left-out.jsonl") == left
    assert made.rows + sum(made.left_out.values()) == mixture.rows
    assert made.rows == len(expected)
    assert made.digest == hashlib.sha256((made.path / "train.jsonl").read_bytes()).hexdigest()


def test_each_format_has_its_shape() -> None:
    assert convert_openai([SYSTEM, ASK, TELL]) == {"messages": [SYSTEM, ASK, TELL]}
    assert convert_alpaca([SYSTEM, ASK, TELL]) == {
        "instruction": ASK["content"],
        "input": "",
        "output": "da\n",
        "system": "Be brief.",
    }
    assert "system" not in convert_alpaca([ASK, TELL])
    assert convert_converse([SYSTEM, ASK, TELL]) == {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "Be brief."}],
        "messages": [
            {"role": "user", "content": [{"text": ASK["content"]}]},
            {"role": "assistant", "content": [{"text": "da\n"}]},
        ],
    }


@pytest.mark.parametrize(
    ("convert", "messages", "reason"),
    [
        (convert_alpaca, [ASK, TELL, ASK, TELL], "multi_turn"),
        (convert_alpaca, [ASK], "turn_order"),
        (convert_alpaca, [SHAPES[3][0]], "plain_text"),
        (convert_openai, SHAPES[3], "plain_text"),
        (convert_converse, SHAPES[3], "plain_text"),
        (convert_converse, [ASK, TELL, ASK], "turn_order"),
        (convert_converse, [SYSTEM], "turn_order"),
        (convert_converse, [TELL, ASK], "turn_order"),
    ],
)
def test_what_a_format_has_no_place_for_is_refused_by_reason(
    convert: Any, messages: Any, reason: str
) -> None:
    with pytest.raises(Unheld, match=f"^{reason}$"):
        convert(messages)


def test_strict_refuses_and_leaves_nothing(mixture: MixtureReceipt, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"position 1, source 'chat'.*multi_turn"):
        export_mixture(mixture, ExportRequest("alpaca", tmp_path / "out", strict=True))
    assert not (tmp_path / "out").exists()


def test_a_folder_with_something_in_it_is_left_alone(
    mixture: MixtureReceipt, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        export_mixture(mixture, ExportRequest("openai", tmp_path / "out"))
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"


def test_clean_rows_that_are_gone_are_told(mixture: MixtureReceipt, tmp_path: Path) -> None:
    (home("clean", "chat-1") / "manifest.json").unlink()
    with pytest.raises(StorageError, match="'chat'.*are gone"):
        export_mixture(mixture, ExportRequest("openai", tmp_path / "out"))


def rename_row(mixture: MixtureReceipt, position: int, row_id: str) -> None:
    path = mixture.path / mixture.shards[0]
    table = pq.read_table(path).to_pylist()
    table[position]["row_id"] = row_id
    pq.write_table(pa.Table.from_pylist(table), path)


def test_a_row_that_was_cut_is_written_once_and_its_later_parts_are_named(
    mixture: MixtureReceipt, rows: Any, tmp_path: Path
) -> None:
    part = f"{rows[0][1]['row_id']}.1"
    rename_row(mixture, 4, part)
    made = export_mixture(mixture, ExportRequest("openai", tmp_path / "out"))
    assert (made.rows, made.left_out) == (6, {"plain_text": 1, "later_part": 1})
    assert {"position": 4, "source": "voc", "row_id": part, "reason": "later_part"} in lines(
        made.path / "left-out.jsonl"
    )


def test_a_row_that_its_clean_source_has_not_is_told(
    mixture: MixtureReceipt, tmp_path: Path
) -> None:
    rename_row(mixture, 4, "f" * 32)
    with pytest.raises(StorageError, match=r"'voc' \(row ffff.*are gone"):
        export_mixture(mixture, ExportRequest("openai", tmp_path / "out"))


def test_rows_that_the_model_wrote_anew_are_found(mixture: MixtureReceipt, tmp_path: Path) -> None:
    home("rewritten").mkdir()
    (home("clean", "chat-1")).rename(home("rewritten", "chat-1"))
    assert export_mixture(mixture, ExportRequest("openai", tmp_path / "out")).rows == 7


def test_the_card_says_sources_licences_shares_and_counts(mixture: MixtureReceipt) -> None:
    card = make_data_card(json.loads(mixture.lock.read_text()), "alpaca", 5, {"multi_turn": 3})
    for said in (
        "`voc` to specialise it",
        "`chat` so that it keeps",
        "items of `mmlu`",
        "CC-BY-4.0",
        "voc.jsonl",
        "0.5000",
        "empty 3, too_long 2",
        "multi_turn 3",
        "a1" * 32,
    ):
        assert said in card
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 9, 5, 3}


def test_a_sign_of_markdown_in_a_name_breaks_no_table(mixture: MixtureReceipt) -> None:
    lock = json.loads(mixture.lock.read_text())
    lock["sources"][0]["uri"] = "a|b\n| c |"
    line = next(x for x in make_data_card(lock, "openai", 1, {}).splitlines() if "a\\|b" in x)
    assert line.replace("\\|", "").count("|") == 8


@pytest.mark.parametrize("form", ["openai", "converse", "alpaca"])
def test_croissant_describes_the_rows_so_that_they_can_be_read(
    mixture: MixtureReceipt, tmp_path: Path, form: Any
) -> None:
    mlc = pytest.importorskip("mlcroissant")
    made = export_mixture(mixture, ExportRequest(form, tmp_path / "out", croissant=True))
    dataset = mlc.Dataset(jsonld=str(made.path / "croissant.json"))
    assert not dataset.metadata.issues.errors
    assert not dataset.metadata.issues.warnings
    records = list(dataset.records("rows"))
    assert len(records) == made.rows
    field = "rows/output" if form == "alpaca" else "rows/content"
    last = lines(made.path / "train.jsonl")[-1]
    text = {
        "openai": lambda: [m["content"] for m in last["messages"]],
        "converse": lambda: [m["content"][0]["text"] for m in last["messages"]],
        "alpaca": lambda: last["output"],
    }[form]()
    found = records[-1][field]
    assert ([t.decode() for t in found] if isinstance(found, list) else found.decode()) == text


def test_croissant_that_is_not_installed_is_told_before_anything_is_written(
    mixture: MixtureReceipt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(croissant, "find_spec", lambda _: None)
    with pytest.raises(SetupError, match=r"\[croissant\]"):
        export_mixture(mixture, ExportRequest("openai", tmp_path / "out", croissant=True))
    assert not (tmp_path / "out").exists()
