"""What became of a row, over a source that went all the way from a snapshot to a mixture."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.mixture import Mixture, MixtureSize
from tasks.artifacts import CleanSource, LocalModel, MixtureReceipt, Origin, Snapshot
from tasks.lineage.search import ById, ByText
from tasks.lineage.why import Explanation, Outcome, describe_outcome, explain_row
from tasks.mixture.shares import Supply
from tasks.mixture.stage import close_build, mix, split_blocks, write_block
from tasks.mixture.tokenize import RowFormat, tokenise
from tasks.storage import building, commit, home
from tasks.text.rows import QUARANTINE_SCHEMA, ROW_SCHEMA, row_id

REJECTED = pa.schema([("origin", pa.string()), ("raw", pa.string()), ("reason", pa.string())])
ABOUT = Origin(name="voc", role="domain", uri="a.jsonl")


def chat(number: int, prompt: str, answer: str = "yes") -> dict[str, Any]:
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    identity = row_id(messages)  # type: ignore[arg-type]
    return {"row_id": identity, "messages": messages, "origin": f"a.jsonl:{number}"}


TRAIN = [chat(i, f"is {i} more than two?") for i in range(1, 7)]
TESTED, EMPTY, LONG = chat(11, "tested"), chat(12, ""), chat(13, "long", "yes " * 80)
ITEM = chat(14, "What is two plus two?")
COPY = {**TRAIN[0], "origin": "a.jsonl:15"}
NEAR, OVER = chat(16, "is 2 more than two"), chat(17, "one too many")


def write(path: Path, rows: Iterable[dict[str, Any]], schema: pa.Schema = ROW_SCHEMA) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


@pytest.fixture
def snapshot(temper_home: Path) -> None:
    folder = home("snapshots", "voc-1")
    rows = [*TRAIN, TESTED, EMPTY, LONG, ITEM, COPY, NEAR, OVER]
    with building(folder) as aside:
        write(aside / "rows" / "part-00000.parquet", rows)
        bad = {"origin": "a.jsonl:18", "raw": '{"half a row', "reason": "not JSON"}
        write(aside / "rejected.parquet", [bad], REJECTED)
        commit(aside, Snapshot(path=folder, digest="s", rows=len(rows), rejected=1, origin=ABOUT))


def divided(kind: str, train: list[dict[str, Any]], aside: list[dict[str, Any]]) -> CleanSource:
    folder = home(kind, "voc-1")
    with building(folder) as place:
        write(place / "train.parquet", train)
        write(place / "dev.parquet", [])
        write(place / "test.parquet", [TESTED])
        write(place / "quarantine.parquet", aside, QUARANTINE_SCHEMA)
        (place / "verdict.json").write_text(json.dumps({"limit": 1}))
        return commit(
            place,
            CleanSource(
                path=folder,
                digest=kind,
                verdict="quarantine",
                reason="",
                rows_in=14,
                rows_out=len(train) + 1,
                findings={},
                splits={"train": len(train), "test": 1},
                origin=ABOUT,
            ),
        )


@pytest.fixture
def cleaned(snapshot: None) -> CleanSource:
    aside = [{**EMPTY, "reasons": ["empty"]}, {**COPY, "reasons": ["duplicate"]}]
    divided("clean", [*TRAIN, LONG, ITEM, NEAR], aside)
    near = {**NEAR, "reasons": ["near_duplicate"], "detail": f"voc: {TRAIN[1]['row_id']}"}
    return divided("distinct", [*TRAIN, LONG, ITEM], [*aside, near])


@pytest.fixture
def mixture(cleaned: CleanSource, tiny_model: LocalModel) -> MixtureReceipt:
    return make_mixture(cleaned, tiny_model, MixtureSize(domain_epochs=2))


def make_mixture(source: CleanSource, model: LocalModel, size: MixtureSize) -> MixtureReceipt:
    tokens = tokenise(source, model, 60, {"sums": ["what is two plus two?"]})
    section = Mixture(size=size, domain_share=1.0, unit="rows", rows_per_shard=5)
    build = mix(section, [Supply("voc", "domain", 1.0, tokens.rows, tokens)], 17)
    for block in split_blocks(build, 1):
        write_block(block)
    return close_build(build, model, {})


def why(row: dict[str, Any]) -> list[Outcome]:
    return list(explain_row(ById(row["row_id"])).outcomes)


def only(row: dict[str, Any]) -> Outcome:
    [outcome] = why(row)
    return outcome


def test_a_row_that_was_taken_stands_at_its_positions(mixture: MixtureReceipt) -> None:
    taken = only(TRAIN[2])
    assert (taken.outcome, taken.mixture) == ("taken", mixture.digest)
    assert (taken.origin, taken.epochs) == ("a.jsonl:3", (0, 1))
    tables = [pq.read_table(mixture.path / name, columns=["row_id"]) for name in mixture.shards]
    ids = pa.concat_tables(tables)["row_id"].to_pylist()
    assert [ids[position] for position in taken.positions] == [TRAIN[2]["row_id"]] * 2
    assert [i for i, found in enumerate(ids) if found == TRAIN[2]["row_id"]] == [*taken.positions]


def test_a_row_that_its_source_has_and_the_quota_has_not_is_not_drawn(
    cleaned: CleanSource, tiny_model: LocalModel
) -> None:
    make_mixture(cleaned, tiny_model, MixtureSize(budget=2))
    words = [only(row).outcome for row in TRAIN[1:]]
    words.append(next(o.outcome for o in why(TRAIN[0]) if o.outcome != "set_aside"))
    assert sorted(words) == ["not_drawn"] * 4 + ["taken"] * 2


def test_a_row_set_aside_comes_with_the_check_and_its_sentence(mixture: MixtureReceipt) -> None:
    found = only(EMPTY)
    assert (found.outcome, found.checks, found.origin) == ("set_aside", ("empty",), "a.jsonl:12")
    assert found.sentences[0].endswith(".")


def test_a_duplicate_comes_with_the_row_that_stays(mixture: MixtureReceipt) -> None:
    taken, copy = why(TRAIN[0])
    assert (taken.outcome, copy.outcome, copy.checks) == ("taken", "set_aside", ("duplicate",))
    assert copy.stays is not None
    assert (copy.origin, copy.stays.origin) == ("a.jsonl:15", "a.jsonl:1")
    near = only(NEAR)
    assert near.checks == ("near_duplicate",)
    assert near.stays is not None
    assert (near.stays.source, near.stays.row_id) == ("voc", TRAIN[1]["row_id"])
    assert near.stays.text == "is 2 more than two? yes"


@pytest.mark.parametrize(
    ("row", "check", "detail"),
    [
        (LONG, "too_long", "and sequence_length is 60."),
        (ITEM, "overlap:sums", "suite 'sums': “what is two plus two?”"),
    ],
)
def test_what_tokenising_set_aside_comes_with_what_was_found(
    mixture: MixtureReceipt, row: dict[str, Any], check: str, detail: str
) -> None:
    found = only(row)
    assert (found.outcome, found.checks) == ("set_aside", (check,))
    assert detail in found.detail


def test_a_row_held_out_beyond_the_limit_or_unread_is_told_apart(mixture: MixtureReceipt) -> None:
    assert only(TESTED).outcome == "held_out"
    assert only(OVER).outcome == "over_limit"
    [unread] = explain_row(ByText("half a row")).outcomes
    assert (unread.row_id, unread.checks, unread.detail) == ("", ("format",), "not JSON")


def test_a_row_waits_until_a_mixture_is_made(snapshot: None) -> None:
    assert "not checked" in only(TRAIN[2]).sentences[0]
    divided("clean", TRAIN, [])
    assert "no mixture" in only(TRAIN[2]).sentences[0]


def test_a_text_is_found_in_any_case_and_part_of_it_only_when_asked(
    mixture: MixtureReceipt,
) -> None:
    assert explain_row(ByText("IS  3 more than TWO")).row_ids == (TRAIN[2]["row_id"],)
    assert explain_row(ByText("more than two")) == Explanation(found=False, row_ids=(), outcomes=())
    assert len(explain_row(ByText("more than two", contains=True)).row_ids) == 7


def test_a_row_that_was_cut_is_taken_by_its_parts(
    cleaned: CleanSource, tiny_model: LocalModel
) -> None:
    tokens = tokenise(cleaned, tiny_model, 60, {}, RowFormat("sft", "split"))
    section = Mixture(size=MixtureSize(domain_epochs=1), domain_share=1.0, unit="rows")
    build = mix(section, [Supply("voc", "domain", 1.0, tokens.rows, tokens)], 17)
    write_block(split_blocks(build, 1)[0])
    close_build(build, tiny_model, {})
    assert len(only(LONG).positions) > 1


def test_an_outcome_is_told_in_words(mixture: MixtureReceipt) -> None:
    _, copy = why(TRAIN[0])
    first, told, stays, folder = describe_outcome(copy)
    assert first.startswith("voc · a.jsonl:15 · ")
    assert told.startswith("set aside (duplicate): Another row says the same")
    assert stays.startswith("stays: voc · a.jsonl:1 · ")
    assert Path(folder).is_dir()
