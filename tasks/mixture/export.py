"""A mixture as JSONL for other trainers, in plan order, with its lock and its data card."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource, MixtureReceipt, Receipt
from tasks.errors import DataError, StorageError
from tasks.mixture.formats import CONVERTERS, FormatName, NotHeld
from tasks.mixture.shards import shards_of
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


class Wish(NamedTuple):
    """What an export is to be.

    Attributes:
        strict: Refuse when any row can't be held, instead of leaving it out.
        croissant: Also write ``croissant.json``.
    """

    format: FormatName
    out: Path
    strict: bool = False
    croissant: bool = False


class _Placed(NamedTuple):
    position: int
    source: str
    row_id: str
    messages: list[Message]


def export(mixture: MixtureReceipt, wish: Wish) -> Export:
    """Write the mixture's chat rows in plan order, a repeated row as often as it is drawn.

    Rows are looked up by id in the clean sources that the lock names. The folder appears whole
    or not at all.

    Raises:
        DataError: The folder isn't empty; or, with ``strict``, the format can't hold a row.
        StorageError: A clean source of the lock isn't there any more.
        SetupError: Croissant metadata are asked for and mlcroissant isn't installed.
    """
    from tasks.mixture.card import data_card
    from tasks.mixture.croissant import require_croissant, write_croissant

    out = wish.out.expanduser().resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(
            "the folder is not empty.", where=f"--out {wish.out}", fix="name a new one."
        )
    if wish.croissant:
        require_croissant()
    with building(out) as aside:
        rows, left_out, keys = _write(mixture, wish, aside)
        shutil.copy2(mixture.lock, aside / mixture.lock.name)
        receipt = Export(
            path=out,
            digest=file_digest(aside / ROWS),
            format=wish.format,
            mixture_digest=mixture.digest,
            rows=rows,
            left_out=dict(left_out),
            croissant=wish.croissant,
        )
        lock = json.loads(mixture.lock.read_text())
        write_text(aside / CARD, data_card(lock, receipt.format, rows, receipt.left_out))
        if wish.croissant:
            write_croissant(aside / ROWS, lock, keys, made_on(mixture))
        return commit(aside, receipt)


def made_on(mixture: MixtureReceipt) -> date:
    """Return the day a mixture was made, in UTC."""
    return datetime.fromtimestamp(mixture.lock.stat().st_mtime, UTC).date()


def _write(
    mixture: MixtureReceipt, wish: Wish, folder: Path
) -> tuple[int, Counter[str], frozenset[str]]:
    """Write the rows; return how many, those left out by reason, and the keys that occur."""
    convert, left_out, rows = CONVERTERS[wish.format], Counter[str](), 0
    keys: set[str] = set()
    with (
        (folder / ROWS).open("w", encoding="utf-8") as kept,
        (folder / LEFT_OUT).open("w", encoding="utf-8") as others,
    ):
        for row in _placed(mixture):
            try:
                line = convert(row.messages)
                kept.write(_line(line))
                rows, keys = rows + 1, keys | line.keys()
            except NotHeld as reason:
                if wish.strict:
                    raise _refused(wish, row, str(reason)) from reason
                left_out[str(reason)] += 1
                others.write(
                    _line(
                        {
                            "position": row.position,
                            "source": row.source,
                            "row_id": row.row_id,
                            "reason": str(reason),
                        }
                    )
                )
    return rows, left_out, frozenset(keys)


def _placed(mixture: MixtureReceipt) -> Iterator[_Placed]:
    lock = json.loads(mixture.lock.read_text())
    clean = {s["name"]: _Messages(s["name"], s["clean_digest"]) for s in lock["sources"]}
    shards = shards_of(mixture, ["position", "source", "row_id"])
    for table in shards.tables(0, len(shards)):
        for row in table.to_pylist():
            yield _Placed(**row, messages=clean[row["source"]][row["row_id"]])
        report("exporting", row["position"] + 1, len(shards))


class _Messages:
    """The messages of a clean source's training rows, by row id."""

    def __init__(self, name: str, digest: str) -> None:
        self._table: pa.Table = pq.read_table(
            _clean_of(name, digest).split("train"), columns=["row_id", "messages"]
        )
        ids = self._table["row_id"].to_pylist()
        self._at = {row_id: i for i, row_id in enumerate(ids)}

    def __getitem__(self, row_id: str) -> list[Message]:
        messages: list[Message] = self._table["messages"][self._at[row_id]].as_py()
        return messages


def _clean_of(name: str, digest: str) -> CleanSource:
    # Rows are drawn from what was left after duplicates across sources went.
    folders = (home(stage) for stage in ("distinct", "clean"))
    for manifest in (m for f in folders for m in sorted(f.glob(f"[!.]*/{MANIFEST}"))):
        if json.loads(manifest.read_text())["receipt"]["digest"] == digest:
            return load(manifest.parent, CleanSource)
    raise StorageError(
        f"the clean rows of source '{name}' (digest {digest[:12]}) are gone.",
        where=str(home("distinct")),
        fix="run `temper mix` on the recipe again; they are made anew.",
    )


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) + "\n"


def _refused(wish: Wish, row: _Placed, reason: str) -> DataError:
    return DataError(
        f"format '{wish.format}' can't hold row {row.row_id}: {reason}.",
        where=f"position {row.position}, source '{row.source}'",
        fix="choose --format openai, or leave --strict away: such rows are then left out by name.",
    )
