"""Clean training rows rendered, tokenised and masked, without what may not be trained on.

What a training row is depends on the method: an answer, a plain text, a pair of answers, or a
question. A row that can't be one is set aside with its reason, in ``quarantine.parquet`` beside the
tokens.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from configs.training import Method, Overflow
from tasks.artifacts import CleanSource, Filter, LocalModel, SplitName, TokenizedSource
from tasks.errors import DataError, RenderingError
from tasks.mixture.rows import hash_rows, write_rows
from tasks.storage import building, commit, digest_of, find, home, stage_key
from tasks.text.chat import load_tokenizer, prompt_ids, render_last, render_rows
from tasks.text.masks import IGNORED, Rendered
from tasks.text.overlap import RULES, Item, OverlapIndex
from tasks.text.rows import QUARANTINE_SCHEMA, TEXT_ROLE, ChatRow
from tasks.text.special import special_pattern
from tasks.text.template import Tokenizer

Exclusions = Mapping[str, Sequence[str | Item]]
Record = dict[str, Any]
"""A training row by column."""
TABLE_ROWS = 4096
"""Rows that are in memory at a time."""
QUARANTINE_ROWS = 256
"""Rows set aside that are in memory at a time: they are whole rows, and some are long."""
EXCERPT = 240
SPECIAL_TOKEN, NOT_RENDERED = "special_token", "not_rendered"
"""Reasons: the row's words hold a token of the model's format; the template can't write it."""
HELD_OUT: tuple[SplitName, ...] = ("dev", "test")
SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("input_ids", pa.list_(pa.int32())),
        pa.field("labels", pa.list_(pa.int32())),
        pa.field("tokens", pa.int64()),
        pa.field("supervised_tokens", pa.int64()),
    ]
)
"""What every training row has."""
METHOD_COLUMNS: dict[Method, pa.Schema] = {
    "dpo": pa.schema(
        [
            pa.field("rejected_ids", pa.list_(pa.int32())),
            pa.field("rejected_labels", pa.list_(pa.int32())),
        ]
    ),
    "rft": pa.schema([pa.field("reference", pa.string())]),
}
"""What a method's rows have beside: the same prompt with the worse answer; the JSON text of the
reference that rewards are given."""
_KINDS = {"rejected": "a pair (chosen and rejected)", "reference": "a question to be sampled"}
_TAKES: dict[Method, tuple[str | None, str]] = {
    "sft": (None, "supervised fine-tuning learns from answers alone"),
    "cpt": (None, "continued pre-training learns from texts alone"),
    "dpo": ("rejected", "preference optimisation learns from pairs alone"),
    "rft": ("reference", "reinforcement fine-tuning learns from questions to be sampled alone"),
}
_INDEXING = Lock()


class RowFormat(NamedTuple):
    """How chat rows become training rows.

    Attributes:
        method: The training method.
        overlong: What becomes of rows over the sequence length.
    """

    method: Method = "sft"
    overlong: Overflow = "drop"


SFT = RowFormat()


def tokenise(
    clean: CleanSource,
    model: LocalModel,
    sequence_length: int,
    exclusions: Exclusions,
    row_format: RowFormat = SFT,
) -> TokenizedSource:
    """Return the training rows of a source as tokens with their loss mask.

    Rows longer than ``sequence_length`` tokens (unless they are split), rows without a supervised
    token, and rows that contain an item of an excluded suite are set aside, each with its reason,
    and counted by it.

    Args:
        clean: The source after quality.
        model: Its tokenizer and chat template render the rows.
        sequence_length: Longest row that is kept, in tokens.
        exclusions: Test items by suite name.
        row_format: Training method, and what becomes of rows that are too long.

    Raises:
        DataError: A row is of a kind that the method has no use for (a pair, say), or too long
            where that is an error.
    """
    key = stage_key(
        "tokens",
        {
            "clean": clean.digest,
            "tokenizer": model.tokenizer_digest,
            "length": sequence_length,
            "exclusions": {name: digest_items(items) for name, items in exclusions.items()},
            "how": row_format._asdict(),
        },
        __name__,
    )
    folder = home("tokens", f"{clean.name}-{key[:16]}")
    if (done := find(folder, TokenizedSource)) is not None:
        # The same rows may come from elsewhere this time.
        return done.model_copy(update={"origin": clean.origin})
    schema = pa.schema([*SCHEMA, *METHOD_COLUMNS.get(row_format.method, ())])
    with building(folder) as aside:
        with Quarantine(aside / "quarantine.parquet") as quarantine:
            work = _Tokeniser(
                tokenizer=load_tokenizer(model.path, model.chat),
                length=sequence_length,
                row_format=row_format,
                indexes={name: index_items(items) for name, items in exclusions.items()},
                quarantine=quarantine,
            )
            rows = work.keep_rows(read_rows(clean.split("train")))
            write_rows(aside / "rows.arrow", work.count_rows(rows, schema), schema)
        return commit(aside, _make_receipt(folder, clean, work))


class Quarantine:
    """Writes rows that are set aside, a few in memory at a time, as quality's quarantine has them.

    Attributes:
        rows: Rows set aside, by reason.
    """

    def __init__(self, path: Path) -> None:
        self.rows: Counter[str] = Counter()
        self._waiting: list[dict[str, Any]] = []
        self._writer = pq.ParquetWriter(path, QUARANTINE_SCHEMA, compression="zstd")

    def __enter__(self) -> "Quarantine":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: ChatRow, reason: str, detail: str) -> None:
        """Set a row aside, for a reason and with a sentence on what was found."""
        self.rows[reason] += 1
        self._waiting.append({**row, "reasons": [reason], "detail": detail})
        if len(self._waiting) == QUARANTINE_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._waiting, schema=QUARANTINE_SCHEMA))
        self._waiting = []


@dataclass
class _Tokeniser:
    """One source on its way to tokens, and what is known of the rows gone through.

    Attributes:
        indexes: Items that rows may not contain, by suite.
        lost: ``rows_cut`` and the ``parts`` they gave, ``rows_by_turn`` and the ``turns`` that
            they made, and the ``tokens_lost`` and ``supervised_tokens_lost`` that are in no
            training row.
        kept: ``rows``, ``tokens`` and ``supervised_tokens`` of those written.
        state: Digest of those written.
    """

    tokenizer: Tokenizer
    length: int
    row_format: RowFormat
    indexes: Mapping[str, OverlapIndex]
    quarantine: Quarantine
    lost: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    state: Any = field(default_factory=hashlib.sha256)

    def keep_rows(self, rows: Iterable[ChatRow]) -> Iterator[Record]:
        """Yield the training rows, setting aside what can't be one."""
        for row, suite in self._find_overlaps(iter(rows)):
            if suite:
                item = self.indexes[suite].find_item(row["messages"])
                told = f"it contains an item of suite '{suite}': {_quote(item)}."
                self.quarantine.add(row, f"overlap:{suite}", told)
                continue
            found = find_special(row, self._special)
            if found:
                told = f"it holds {found}, a special token of this model's tokenizer."
                self.quarantine.add(row, SPECIAL_TOKEN, told)
                continue
            try:
                records = make_records(self.tokenizer, row, self.row_format)
            except RenderingError as error:
                self.quarantine.add(row, NOT_RENDERED, error.message)
                continue
            if not any(record["supervised_tokens"] for record in records):
                told = f"none of its {records[0]['tokens']:,} tokens carries loss."
                self.quarantine.add(row, "nothing_supervised", told)
                continue
            for i, part in enumerate(self._fit(row, records)):
                yield {"row_id": f"{row['row_id']}.{i}" if i else row["row_id"], **part}

    def count_rows(self, rows: Iterator[Record], schema: pa.Schema) -> Iterator[Any]:
        """Yield the rows as tables, counting them and taking their digest."""
        while batch := list(islice(rows, TABLE_ROWS)):
            table = pa.Table.from_pylist(batch, schema=schema)
            self.kept["rows"] += len(table)
            for name in ("tokens", "supervised_tokens"):
                self.kept[name] += pc.sum(table[name]).as_py()
            self.state.update(hash_rows(table).astype("<u8").tobytes())
            yield table

    def _find_overlaps(self, rows: Iterator[ChatRow]) -> Iterator[tuple[ChatRow, str]]:
        """Yield each row with the first suite of which it contains an item, or nothing."""
        while batch := list(islice(rows, TABLE_ROWS)):
            found = [""] * len(batch)
            for name, index in self.indexes.items():
                hits = index.rows_hit([row["messages"] for row in batch])
                found = [f or (name if hit else "") for f, hit in zip(found, hits, strict=True)]
            yield from zip(batch, found, strict=True)

    @cached_property
    def _special(self) -> re.Pattern[str] | None:
        return special_pattern(self.tokenizer)

    def _fit(self, row: ChatRow, records: Sequence[Record]) -> list[Record]:
        """Return a row's training rows no longer than the length, and count what is lost by it.

        The row is set aside where nothing is left of it.
        """
        lost: Counter[str] = Counter()
        if len(records) > 1:
            lost.update(rows_by_turn=1, turns=len(records))
        left: list[Record] = []
        for record in records:
            fitting = fit_record(record, self.length, self.row_format, row["origin"])
            parts = [part for part in fitting if part["supervised_tokens"]]
            if len(parts) != 1 or parts[0] is not record:
                lost.update(rows_cut=1, parts=len(parts))
                for name in ("tokens", "supervised_tokens"):
                    lost[f"{name}_lost"] += record[name] - sum(part[name] for part in parts)
            left += parts
        if not left:
            told = f"it has {_longest(records[0]):,} tokens, and sequence_length is {self.length:,}"
            if self.row_format.overlong == "split":
                told += "; none of the parts it was cut into carries loss"
            self.quarantine.add(row, "too_long", f"{told}.")
            lost = Counter({k: n for k, n in lost.items() if k.endswith("_lost")})
        self.lost.update(lost)
        return left


def find_special(row: ChatRow, special: re.Pattern[str] | None) -> str | None:
    """Return a special token that stands in a conversation's words, where one does.

    Args:
        row: A chat row; plain texts may hold what they like.
        special: What finds the tokenizer's special tokens; None where it has none.
    """
    if special is None:
        return None
    said = [m for m in row["messages"] if m["role"] != TEXT_ROLE]
    rejected = row.get("rejected")
    texts = [m["content"] for m in (*said, *([rejected] if rejected else []))]
    return next((hit.group() for text in texts if (hit := special.search(text))), None)


def _quote(item: str | Item | None) -> str:
    """Return an item on one line, cut; a text where its words alone are known to be there."""
    if item is None:
        return "(words of several)"
    text = item if isinstance(item, str) else " / ".join([item.question, *item.choices])
    line = " ".join(text.split())
    return f"“{line[:EXCERPT]}{'…' if len(line) > EXCERPT else ''}”"


def index_items(items: Sequence[str | Item]) -> OverlapIndex:
    """Return the index of test items, made once for all sources of a run."""
    # Sources are tokenised by threads at once, and the first of them makes it.
    with _INDEXING:
        return _make_index(tuple(items))


@lru_cache(maxsize=8)
def _make_index(items: tuple[str | Item, ...]) -> OverlapIndex:
    return OverlapIndex(items)


def digest_items(items: Sequence[str | Item]) -> str:
    """Return the digest of test items, whatever their order."""
    return digest_of(sorted(digest_of(item) for item in items))


def read_rows(path: Path) -> Iterator[ChatRow]:
    """Yield the chat rows of a Parquet file, a batch in memory at a time."""
    for batch in pq.ParquetFile(path).iter_batches(TABLE_ROWS):
        yield from batch.to_pylist()


def make_records(tokenizer: Tokenizer, row: ChatRow, row_format: RowFormat) -> list[Record]:
    """Return a chat row as the training rows it makes, however long; nearly always one.

    ``supervised_tokens`` counts tokens that carry loss; of a question, none is there yet, and it
    is 1 so that its source can be drawn by any unit.

    Raises:
        DataError: The row is of another method's kind.
        RenderingError: The template can't render it.
    """
    check_kind(row, row_format.method)
    if row_format.method == "dpo":
        return [_make_pair(tokenizer, row)]
    if row_format.method == "rft":
        ids = prompt_ids(tokenizer, row["messages"], row.get("tools"))
        return [
            {
                "input_ids": ids,
                "labels": [IGNORED] * len(ids),
                "tokens": len(ids),
                "supervised_tokens": 1,
                "reference": row.get("reference") or "null",
            }
        ]
    made = render_rows(tokenizer, row["messages"], row.get("tools"))
    if row_format.method == "cpt":
        # All of a conversation is learnt: its last training row has it whole.
        ids = made[-1].input_ids
        made = [Rendered(ids, [IGNORED, *ids[1:]])]
    return [_count_tokens(one) for one in made]


def check_kind(row: ChatRow, method: Method) -> None:
    """Refuse a row that the method can't learn from.

    Raises:
        DataError: It is a pair where answers are wanted, an answer where pairs are, and so on.
    """
    wanted, why = _TAKES[method]
    found = next((name for name in _KINDS if row.get(name) is not None), None)
    if found == wanted:
        return
    what = _KINDS[found] if found else "an answer (neither a pair nor a question)"
    raise DataError(
        f"the row is {what}, and {why}.",
        where=row["origin"],
        fix="train its source by the method it was made for, or give a source that fits "
        f"method {method}.",
    )


def fit_record(record: Record, length: int, row_format: RowFormat, where: str) -> list[Record]:
    """Return the record cut to ``length`` tokens as the policy says; none when it is dropped.

    Raises:
        DataError: It is longer, and the policy is ``error``.
    """
    if _longest(record) <= length:
        return [record]
    if row_format.overlong == "error":
        raise DataError(
            f"the row has {_longest(record):,} tokens, and training.sequence_length is {length:,}.",
            where=where,
            fix="raise sequence_length, or set training.overflow to drop or split.",
        )
    parts: list[Record] = []
    if row_format.overlong == "split":
        ids, labels = record["input_ids"], record["labels"]
        for start in range(0, len(ids), length):
            # The first token of a part has nothing before it to be predicted from.
            rest = labels[start + 1 : start + length]
            parts.append(_count_tokens(Rendered(ids[start : start + length], [IGNORED, *rest])))
    return parts


def _longest(record: Record) -> int:
    return max(len(record["input_ids"]), len(record.get("rejected_ids", ())))


def _count_tokens(made: Rendered) -> Record:
    return {
        "input_ids": made.input_ids,
        "labels": made.labels,
        "tokens": len(made.input_ids),
        "supervised_tokens": made.supervised,
    }


def _make_pair(tokenizer: Tokenizer, row: ChatRow) -> Record:
    prompt, rejected = row["messages"][:-1], row.get("rejected")
    assert rejected is not None
    chosen, worse = (
        render_last(tokenizer, [*prompt, answer], row.get("tools"))
        for answer in (row["messages"][-1], rejected)
    )
    # A pair without an answer on one side teaches nothing.
    both = chosen.supervised and worse.supervised
    return {
        "input_ids": chosen.input_ids,
        "labels": chosen.labels,
        "rejected_ids": worse.input_ids,
        "rejected_labels": worse.labels,
        "tokens": len(chosen.input_ids) + len(worse.input_ids),
        "supervised_tokens": chosen.supervised + worse.supervised if both else 0,
    }


def _make_receipt(folder: Path, clean: CleanSource, work: _Tokeniser) -> TokenizedSource:
    left_out = {f"overlap:{name}": 0 for name in work.indexes} | work.quarantine.rows
    return TokenizedSource(
        path=folder,
        digest=work.state.hexdigest(),
        origin=clean.origin,
        clean_digest=clean.digest,
        rows_in=clean.rows_in,
        findings=clean.findings,
        rows=work.kept["rows"],
        tokens=work.kept["tokens"],
        supervised_tokens=work.kept["supervised_tokens"],
        left_out=dict(sorted(left_out.items())),
        lost={name: count for name, count in sorted(work.lost.items()) if count},
        filters=_list_filters(clean, left_out, work.lost),
    )


def _list_filters(
    clean: CleanSource, left_out: Mapping[str, int], lost: Mapping[str, int]
) -> tuple[Filter, ...]:
    """Return what the rows went through from ingest to here, in order."""
    left, steps = clean.splits.get("train", 0), list(clean.filters)
    held_out = {name: clean.splits.get(name, 0) for name in HELD_OUT}
    steps.append(Filter(name="held_out", rows_in=clean.rows_out, rows_out=left, settings=held_out))
    told = {name: count for name, count in lost.items() if count}
    for name, rows in sorted(left_out.items()):
        settings: dict[str, Any] = {"rules": RULES} if name.startswith("overlap:") else {}
        if name == "too_long":
            settings = told
        steps.append(Filter(name=name, rows_in=left, rows_out=left - rows, settings=settings))
        left -= rows
    if lost["rows_by_turn"]:
        more = lost["turns"] - lost["rows_by_turn"]
        by_turn = {"rows_by_turn": lost["rows_by_turn"]}
        steps.append(Filter(name="turns", rows_in=left, rows_out=left + more, settings=by_turn))
        left += more
    if lost["rows_cut"]:
        more = lost["parts"] - lost["rows_cut"]
        steps.append(Filter(name="split", rows_in=left, rows_out=left + more, settings=told))
    return tuple(steps)
