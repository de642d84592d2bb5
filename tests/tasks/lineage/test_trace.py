import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.artifacts import Checkpoint, CleanSource, MixtureReceipt, Origin, Snapshot
from tasks.lineage.search import ById, ByText
from tasks.lineage.trace import Trace, trace
from tasks.storage import building, commit, home
from tasks.text.rows import QUARANTINE_SCHEMA, ROW_SCHEMA, row_id

REJECTED = pa.schema([("origin", pa.string()), ("raw", pa.string()), ("reason", pa.string())])
ORIGIN = Origin(name="voc", role="domain", uri="a.jsonl")


def chat(prompt: str, answer: str = "yes") -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return {"row_id": row_id(messages), "messages": messages}  # type: ignore[arg-type]


MINE = chat("Where is my parcel, 12 Elm Street?")
OTHERS = [chat(f"Question {i} on Elm Street?") for i in range(5)]


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema = ROW_SCHEMA) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


@pytest.fixture
def snapshot(temper_home: Path) -> None:
    folder = home("snapshots", "voc-1")
    with building(folder) as aside:
        write(aside / "rows" / "part-00000.parquet", [*OTHERS, MINE])
        bad = json.dumps({"prompt": 'Where is my parcel,\n"12 Elm Street"?', "completion": None})
        write(aside / "rejected.parquet", [{"raw": bad}, {"raw": "{half a row"}], REJECTED)
        commit(aside, Snapshot(path=folder, digest="s", origin=ORIGIN, rows=6, rejected=2))


def clean(mine_in: str) -> None:
    folder = home("clean", f"voc-{mine_in}")
    with building(folder) as aside:
        for name in ("train", "dev", "test"):
            write(aside / f"{name}.parquet", [MINE] * (name == mine_in))
        schema = ROW_SCHEMA.append(pa.field("raw", pa.string()))
        refused = {**dict.fromkeys(ROW_SCHEMA.names), "row_id": "", "raw": "my parcel"}
        write(aside / "quarantine.parquet", [MINE] * (mine_in == "quarantine") + [refused], schema)
        commit(
            aside,
            CleanSource(
                path=folder,
                digest=mine_in,
                origin=ORIGIN,
                verdict="pass",
                reason="",
                rows_in=7,
                rows_out=6,
                findings={},
                splits={"train": 6},
            ),
        )


def mixture(digest: str, rows: list[dict[str, Any]]) -> MixtureReceipt:
    folder = home("mixtures", digest)
    with building(folder) as aside:
        write(aside / "shard-00000.parquet", rows, pa.schema([("row_id", pa.string())]))
        return commit(
            aside,
            MixtureReceipt(
                path=folder,
                digest=digest,
                rows=len(rows),
                tokens=1,
                supervised_tokens=1,
                shards=("shard-00000.parquet",),
                sources=("voc",),
            ),
        )


def checkpoint(digest: str, mixture_digest: str, parent: str = "base") -> None:
    folder = home("checkpoints", digest)
    with building(folder) as aside:
        (aside / "job.json").write_text(json.dumps({"mixture": {"digest": mixture_digest}}))
        commit(
            aside,
            Checkpoint(
                path=folder,
                digest=digest,
                name=digest,
                tokenizer_digest="t",
                parent=parent,
                steps=1,
                adapter_digest="a",
            ),
        )


def places(found: Trace) -> list[tuple[str, str, int]]:
    return [(h.stage, h.place, h.count) for h in found.holdings]


@pytest.mark.parametrize("what", [ById(MINE["row_id"]), ByText("yes")])
def test_a_row_said_in_other_words_is_found_by_the_id_it_keeps(
    snapshot: None, what: ById | ByText
) -> None:
    clean("train")
    other = {**chat("Where is my parcel, 12 Elm Street?", "It is"), "row_id": MINE["row_id"]}
    folder = home("rewritten", "voc-1")
    with building(folder) as aside:
        write(aside / "train.parquet", [other, chat("Another?", "no")])
        commit(
            aside,
            CleanSource(
                path=folder,
                digest="w",
                origin=ORIGIN,
                verdict="pass",
                reason="",
                rows_in=2,
                rows_out=2,
                findings={},
                splits={"train": 2},
            ),
        )
    found = [h for h in trace(what).holdings if h.stage == "rewritten"]
    assert [(h.place, MINE["row_id"] in h.row_ids) for h in found] == [("train", True)]


@pytest.mark.parametrize("split", ["train", "dev", "test", "quarantine"])
@pytest.mark.parametrize("what", [ById(MINE["row_id"]), ByText("yes")])
def test_the_split_or_quarantine_that_holds_a_row_is_named(
    temper_home: Path, split: str, what: Any
) -> None:
    clean(split)
    assert places(trace(what)) == [("clean", split, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "where is my parcel 12 elm street",
        "WHERE is my  parcel, 12 Elm-Street?!",
        "Ｗhere is my parcel, 12 Elm Street? Yes.",
    ],
)
def test_a_text_is_found_after_normalisation_also_in_rows_that_could_not_be_read(
    snapshot: None, text: str
) -> None:
    found = trace(ByText(text))
    assert found.row_ids == (MINE["row_id"],)
    raw = [] if "Yes" in text else [("snapshot", "rejected", 1)]
    assert places(found) == [("snapshot", "rows", 1), *raw]


@pytest.mark.parametrize("foreign", ["Ｐarcel for STRASSE 5", "parcel for Straße 5", "ﬁx parcel"])
def test_letters_that_only_normalisation_makes_equal_are_found(
    temper_home: Path, foreign: str
) -> None:
    folder = home("snapshots", "voc-1")
    with building(folder) as aside:
        write(aside / "rows" / "part-00000.parquet", [chat(foreign), *OTHERS])
        write(aside / "rejected.parquet", [], REJECTED)
        commit(aside, Snapshot(path=folder, digest="s", origin=ORIGIN, rows=6, rejected=0))
    plain = {"ﬁx parcel": "fix parcel"}.get(foreign, "parcel for strasse 5")
    assert places(trace(ByText(plain))) == [("snapshot", "rows", 1)]


def test_part_of_a_text_is_found_only_when_asked_and_only_as_whole_words(snapshot: None) -> None:
    assert trace(ByText("Elm Street")).row_ids == ()
    assert len(trace(ByText("Elm Street", contains=True)).row_ids) == 6
    assert trace(ByText("Elm Stre", contains=True)).holdings == ()


def test_a_row_is_followed_into_mixtures_and_checkpoints_and_theirs(snapshot: None) -> None:
    held, free = mixture("m1", [*OTHERS, MINE, MINE]), mixture("m2", OTHERS)
    checkpoint("c1", "m1")
    checkpoint("c2", "m2", parent="c1")
    checkpoint("c3", "m2", parent="c2")
    checkpoint("c4", "m2")
    found = trace(ById(MINE["row_id"]))
    assert places(found)[1:] == [
        ("mixture", "shards", 2),
        ("checkpoint", "m1", 2),
        ("checkpoint", "c1", 2),
        ("checkpoint", "c2", 2),
    ]
    assert held.path in {h.path for h in found.holdings}
    assert free.path not in {h.path for h in found.holdings}


def test_a_row_that_tokenising_set_aside_is_found_there_too(temper_home: Path) -> None:
    folder = home("tokens", "voc-1")
    with building(folder) as aside:
        with pa.OSFile(str(aside / "rows.arrow"), "wb") as sink:
            pa.ipc.new_file(sink, pa.schema([("row_id", pa.string())])).close()
        write(aside / "quarantine.parquet", [MINE], QUARANTINE_SCHEMA)
        manifest = {"receipt": {"digest": "t", "name": "voc"}}
        (aside / "manifest.json").write_text(json.dumps(manifest))
        aside.rename(folder)
    for what in (ById(MINE["row_id"]), ByText("where is my parcel 12 elm street")):
        assert places(trace(what)) == [("tokens", "quarantine", 1)]


def test_a_checkpoint_whose_mixture_is_gone_is_not_called_free_of_the_row(snapshot: None) -> None:
    checkpoint("c1", "gone")
    found = trace(ById(MINE["row_id"]))
    assert found.unknown == (home("checkpoints", "c1"),)


def test_nothing_is_found_in_an_empty_home(temper_home: Path) -> None:
    assert trace(ByText("anything")).holdings == ()


@pytest.mark.parametrize("make", [ByText, lambda t: ByText(t, contains=True)])
def test_a_text_of_signs_is_compared_as_it_is(
    temper_home: Path, make: Callable[[str], ByText]
) -> None:
    folder = home("snapshots", "voc-1")
    with building(folder) as aside:
        write(aside / "rows" / "part-00000.parquet", [chat("?!"), chat("...")])
        write(aside / "rejected.parquet", [{"raw": "{"}], REJECTED)
        commit(aside, Snapshot(path=folder, digest="s", origin=ORIGIN, rows=2, rejected=1))
    assert places(trace(make("?!"))) == [("snapshot", "rows", 1)]
