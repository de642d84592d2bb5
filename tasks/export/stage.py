"""A mixture as JSONL for other trainers, in plan order, with its lock and its data card."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, MixtureReceipt, Receipt
from tasks.errors import DataError, StorageError
from tasks.export.croissant import require_croissant, write_croissant
from tasks.export.data_card import make_data_card
from tasks.export.formats import CONVERTERS, FormatName, Unheld
from tasks.mixture.shards import open_shards
from tasks.progress import report
from tasks.storage import MANIFEST, building, commit, file_digest, home, load, write_text
from tasks.text.rows import Message

ROWS, LEFT_OUT, CARD = "train.jsonl", "left-out.jsonl", "data-card.md"


class Export(Receipt):
    """An exported mixture: ``train.jsonl``, ``left-out.jsonl``, the lock and the data card.

    Attributes:
        digest: SHA-256 of ``train.jsonl``.
        rows: Lines of it.
        left_out: Reason -> rows the format can't hold; each is named in ``left-out.jsonl``.
    """

    format: FormatName
    mixture_digest: str
    rows: int
    left_out: dict[str, int]
    croissant: bool


class ExportRequest(NamedTuple):
    """What an export is to be.

    Attributes:
        strict: Refuse when any row can't be held, instead of leaving it out.
        croissant: Also write ``croissant.json``.
    """

    format: FormatName
    out: Path
    strict: bool = False
    croissant: bool = False


class _PlacedRow(NamedTuple):
    """A row of the mixture; without messages where it is a later part of a row that was cut."""

    position: int
    source: str
    row_id: str
    messages: list[Message] | None


def export_mixture(mixture: MixtureReceipt, request: ExportRequest) -> Export:
    """Write the mixture's chat rows in plan order, a repeated row as often as it is drawn.

    Rows are looked up by id in the clean sources that the lock names. A row that was cut is written
    whole where its first part stands; its later parts are left out by name. The folder appears
    whole or not at all.

    Raises:
        DataError: The folder isn't empty; or, with ``strict``, the format can't hold a row.
        StorageError: A clean source of the lock isn't there any more.
        SetupError: Croissant metadata are asked for and mlcroissant isn't installed.
    """
    out = request.out.expanduser().resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "the folder is not empty.", where=f"--out {request.out}", fix="name a new one."
        )
    if request.croissant:
        require_croissant()
    with building(out) as aside:
        rows, left_out, keys = _write_rows(mixture, request, aside)
        shutil.copy2(mixture.lock, aside / mixture.lock.name)
        receipt = Export(
            path=out,
            digest=file_digest(aside / ROWS),
            format=request.format,
            mixture_digest=mixture.digest,
            rows=rows,
            left_out=dict(left_out),
            croissant=request.croissant,
        )
        lock = json.loads(mixture.lock.read_text())
        write_text(aside / CARD, make_data_card(lock, receipt.format, rows, receipt.left_out))
        if request.croissant:
            write_croissant(aside / ROWS, lock, keys, find_day(mixture))
        return commit(aside, receipt)


def find_day(mixture: MixtureReceipt) -> date:
    """Return the day a mixture was made, in UTC."""
    return datetime.fromtimestamp(mixture.lock.stat().st_mtime, UTC).date()


def _write_rows(
    mixture: MixtureReceipt, request: ExportRequest, folder: Path
) -> tuple[int, Counter[str], frozenset[str]]:
    """Write the rows; return how many, those left out by reason, and the keys that occur."""
    convert, left_out, rows = CONVERTERS[request.format], Counter[str](), 0
    keys: set[str] = set()
    with (
        (folder / ROWS).open("w", encoding="utf-8") as kept,
        (folder / LEFT_OUT).open("w", encoding="utf-8") as others,
    ):
        for row in _read_rows(mixture):
            try:
                if row.messages is None:
                    raise Unheld("later_part")
                line = convert(row.messages)
            except Unheld as reason:
                if request.strict:
                    raise _refuse_row(request, row, str(reason)) from reason
                left_out[str(reason)] += 1
                about = row._asdict() | {"reason": str(reason)}
                del about["messages"]
                others.write(_dump_line(about))
                continue
            kept.write(_dump_line(line))
            rows, keys = rows + 1, keys | line.keys()
    return rows, left_out, frozenset(keys)


def _read_rows(mixture: MixtureReceipt) -> Iterator[_PlacedRow]:
    """Yield the mixture's rows in plan order, with the messages of their clean sources."""
    lock = json.loads(mixture.lock.read_text())
    messages: dict[str, Any] = {}
    places: dict[str, dict[str, int]] = {}
    for source in lock["sources"]:
        name, path = source["name"], _find_clean(source["name"], source["clean_digest"])
        table = pq.read_table(path.split("train"), columns=["row_id", "messages"])
        messages[name] = table["messages"]
        places[name] = {row_id: i for i, row_id in enumerate(table["row_id"].to_pylist())}
    shards = open_shards(mixture, ["position", "source", "row_id"])
    for table in shards.read_tables(0, len(shards)):
        for row in table.to_pylist():
            known, row_id = places[row["source"]], row["row_id"]
            found = messages[row["source"]][known[row_id]].as_py() if row_id in known else None
            if found is None and row_id.rpartition(".")[0] not in known:
                raise _report_gone(row["source"], f"row {row_id}")
            yield _PlacedRow(**row, messages=found)
        report("exporting", row["position"] + 1, len(shards))


def _find_clean(name: str, digest: str) -> CleanSource:
    # Rows are drawn from what was left after duplicates across sources went, some in other words.
    for stage in ("distinct", "clean", "rewritten"):
        for manifest in sorted(home(stage).glob(f"[!.]*/{MANIFEST}")):
            if json.loads(manifest.read_text())["receipt"]["digest"] == digest:
                return load(manifest.parent, CleanSource)
    raise _report_gone(name, f"digest {digest[:12]}")


def _report_gone(name: str, what: str) -> StorageError:
    return StorageError(
        f"the clean rows of source '{name}' ({what}) are gone.",
        where=str(home("distinct")),
        fix="run `temper mix` on the recipe again; they are made anew.",
    )


def _dump_line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _refuse_row(request: ExportRequest, row: _PlacedRow, reason: str) -> DataError:
    return DataError(
        f"format '{request.format}' can't hold row {row.row_id}: {reason}.",
        where=f"position {row.position}, source '{row.source}'",
        fix="choose --format openai, or leave --strict away: such rows are then left out by name.",
    )
