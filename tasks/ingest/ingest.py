"""A stored source, read, converted to chat rows and kept as a snapshot."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from configs.sources import HubSource, StoredSource
from tasks.artifacts import Snapshot
from tasks.errors import SourceError, Unusable
from tasks.ingest.detect import choose
from tasks.ingest.dividing import divided_by
from tasks.ingest.formats import Converter, Fields, converter_for
from tasks.ingest.hub import hub_rows
from tasks.ingest.paths import DataFile, identity, resolve
from tasks.ingest.readers import BadLine, Record, read
from tasks.ingest.snapshot import SnapshotWriter
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.rows import TEXT_ROLE, ChatRow, Message, row_id

_SEARCHED = 1000


class _Part(NamedTuple):
    """Rows that share a split: what the recipe calls them and their files (None on the hub)."""

    path: str
    split: str | None
    files: list[DataFile] | None


def ingest(source: StoredSource) -> Snapshot:
    """Return the snapshot of a source, made now or found whole from before.

    Rows of ``split.dev_path`` and ``split.test_path`` carry that split; the others carry none,
    and quality divides them. Nothing is read twice: the key holds the files' content (on S3 the
    ETag, on the hub the commit), so a renamed file is found again and a changed one isn't.

    Raises:
        SourceError: A file, column or data set isn't there, or no row can be used.
    """
    try:
        return _ingested(source)
    except SourceError as error:
        place = f"source '{source.name}', {error.where}".removesuffix(", ")
        raise type(error)(error.message, where=place, fix=error.fix) from error


def _ingested(source: StoredSource) -> Snapshot:
    parts = _parts(source)
    folder = home("snapshots", f"{source.name}-{_key(source, parts)[:12]}")
    named = {
        "name": source.name,
        "role": source.role,
        "category": source.category,
        "licence": source.licence,
        "uri": source.path,
    }
    known = find(folder, Snapshot)
    if known is not None:
        return known.model_copy(update=named)
    with building(folder) as aside:
        with SnapshotWriter(aside) as out:
            formats = [_write(source, part, out) for part in parts]
        revision = source.revision if isinstance(source, HubSource) else None
        receipt = Snapshot(
            path=folder,
            digest=out.digest,
            revision=revision,
            rows=out.rows,
            rejected=out.rejected,
            formats=tuple(dict.fromkeys(formats)),
            **named,
        )
        return commit(aside, receipt)


def _parts(source: StoredSource) -> list[_Part]:
    files = None if isinstance(source, HubSource) else resolve(source.path)
    parts = [_Part(source.path, None, files)]
    for split, path in (("dev", source.split.dev_path), ("test", source.split.test_path)):
        if path is not None:
            parts.append(_Part(path, split, resolve(path)))
    return parts


def _key(source: StoredSource, parts: list[_Part]) -> str:
    # The role decides whether an answer is a label; weights, limits and fractions decide nothing.
    fields = source.model_dump(include={"kind", "role", "format", "columns", "system"})
    fields["line_bytes"] = source.limits.line_bytes
    if isinstance(source, HubSource):
        fields |= source.model_dump(include={"path", "revision", "subset", "hub_split"})
    fields["divided_by"] = [source.split.group_by, source.split.time]
    content = [[p.split, [identity(f) for f in p.files or ()]] for p in parts]
    return stage_key("ingest", {"source": fields, "content": content}, __name__)


def _write(source: StoredSource, part: _Part, out: SnapshotWriter) -> str:
    records = _records(source, part)
    start = list(itertools.islice(records, _SEARCHED))
    good = [row for _, row in start if not isinstance(row, BadLine)]
    if not good:
        raise _no_rows(part, start)
    convert = converter_for(source, good, part.path)
    written = out.rows
    for origin, row in itertools.chain(start, records):
        _write_row(source, convert, (origin, row), part.split, out)
    if out.rows == written:
        raise _none_converts(part, convert, good[0])
    return choose(source, good, part.path).sentence()


def _records(source: StoredSource, part: _Part) -> Iterator[Record]:
    if part.files is None:
        assert isinstance(source, HubSource)
        return hub_rows(source)
    return itertools.chain.from_iterable(read(f, source.limits) for f in part.files if f.size)


def _write_row(
    source: StoredSource,
    convert: Converter,
    record: Record,
    split: str | None,
    out: SnapshotWriter,
) -> None:
    origin, row = record
    if isinstance(row, BadLine):
        out.reject(origin, row.raw, row.reason)
        return
    try:
        made = _chat_row(source, convert(row), split, origin)
        out.write(divided_by(made, row, source.split))
    except Unusable as reason:
        out.reject(origin, _raw(row), str(reason))


def _chat_row(source: StoredSource, fields: Fields, split: str | None, origin: str) -> ChatRow:
    label = fields.label
    if label is None and source.role == "domain" and "label" not in source.columns:
        label = _answer(fields)
    messages = _with_system(fields.messages, source.system)
    name = row_id(messages, fields.tools, fields.rejected, fields.reference)
    row: ChatRow = {
        "row_id": name,
        "messages": messages,
        "label": label,
        "group": fields.group,
        "split": split,
        "origin": origin,
        "tools": fields.tools,
        "rejected": fields.rejected,
        "reference": fields.reference,
        "extra": list(fields.extra) or None,
    }
    _refuse_surrogates(row)
    return row


def _with_system(messages: list[Message], system: str | None) -> list[Message]:
    if system is None or messages[0]["role"] in ("system", TEXT_ROLE):
        return messages
    return [{"role": "system", "content": system}, *messages]


def _answer(fields: Fields) -> str | None:
    last = fields.messages[-1]
    # One answer of a pair is no label: the prompt has two.
    if last["role"] != "assistant" or fields.rejected is not None:
        return None
    return last["content"].strip() or None


def _refuse_surrogates(row: ChatRow) -> None:
    rejected = row.get("rejected")
    said = [*row["messages"], *([rejected] if rejected else [])]
    texts: list[Any] = [value for message in said for value in message.values()]
    texts += [row["label"], row["group"], row.get("tools"), row.get("reference")]
    for text in (*texts, *(row.get("extra") or ())):
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise Unusable("half of a surrogate pair, which is no Unicode text") from error


def _raw(row: Any) -> str:
    try:
        text = json.dumps(row, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return ascii(row)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return text


def _no_rows(part: _Part, start: list[Record]) -> SourceError:
    bad = next(((o, r) for o, r in start if isinstance(r, BadLine)), None)
    if bad is None:
        return SourceError(
            "there are no rows: the file is empty.",
            where=part.path,
            fix="put rows in it, or take the source out of the recipe.",
        )
    return SourceError(
        f"none of the first {len(start)} rows can be read; {bad[0]} is {bad[1].reason}.",
        where=part.path,
        fix="check that the file is what its ending says.",
    )


def _none_converts(part: _Part, convert: Converter, row: Any) -> SourceError:
    try:
        convert(row)
        reason = "their text is not Unicode"
    except Unusable as error:
        reason = f"in the first, {error}"
    return SourceError(
        f"no row can be converted; {reason}.",
        where=part.path,
        fix="give the row format with format:, or map the columns with columns:.",
    )
