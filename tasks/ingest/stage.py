"""A stored source, read, converted to chat rows and kept as a snapshot."""

import itertools
import json
from typing import Any, NamedTuple

from configs.sources import StoredSource
from tasks.artifacts import Origin, Snapshot
from tasks.errors import SourceError, Unusable
from tasks.files.records import BadLine, Record
from tasks.files.snapshot import SnapshotWriter
from tasks.ingest.convert import find_converter
from tasks.ingest.detect import choose_format
from tasks.ingest.registry import OpenedSource, open_path, open_source
from tasks.ingest.split_columns import add_split_columns
from tasks.ingest.values import ConvertedRow, Converter
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.normal import to_nfc
from tasks.text.rows import TEXT_ROLE, ChatRow, row_id

_SEARCHED = 1000


class _Part(NamedTuple):
    """Rows that share a split, which is None where quality divides them."""

    path: str
    split: str | None
    opened: OpenedSource


def make_snapshot(source: StoredSource) -> Snapshot:
    """Return the snapshot of a source, made now or found whole from before.

    Rows of ``split.dev_path`` and ``split.test_path`` carry that split; the others carry none,
    and quality divides them. Nothing is read twice: the key holds the files' content (on S3 the
    ETag, on the hub the commit), so a renamed file is found again and a changed one isn't.

    Raises:
        SourceError: A file, column or data set isn't there, or no row can be used.
    """
    try:
        return _find_or_make(source)
    except SourceError as error:
        place = f"source '{source.name}', {error.where}".removesuffix(", ")
        raise type(error)(error.message, where=place, fix=error.fix) from error


def _find_or_make(source: StoredSource) -> Snapshot:
    opened = open_source(source)
    parts = [_Part(source.path, None, opened)]
    for split, given, field in (
        ("dev", source.split.dev_path, source.split.dev_field),
        ("test", source.split.test_path, source.split.test_field),
    ):
        if given is not None or field is not None:
            path = given or source.path
            parts.append(_Part(path, split, open_path(path, source.limits, field)))
    folder = home("snapshots", f"{source.name}-{_make_key(source, parts)[:12]}")
    origin = Origin(
        name=source.name,
        role=source.role,
        category=source.category,
        licence=source.licence,
        uri=source.path,
        revision=opened.revision,
    )
    known = find(folder, Snapshot)
    if known is not None:
        return known.model_copy(update={"origin": origin})
    with building(folder) as aside:
        with SnapshotWriter(aside) as out:
            formats = [_write_part(source, part, out) for part in parts]
        receipt = Snapshot(
            path=folder,
            digest=out.digest,
            origin=origin,
            rows=out.rows,
            rejected=out.rejected,
            formats=tuple(dict.fromkeys(formats)),
        )
        return commit(aside, receipt)


def _make_key(source: StoredSource, parts: list[_Part]) -> str:
    # The role decides whether an answer is a label; weights, limits and fractions decide nothing.
    fields = source.model_dump(include={"kind", "role", "format", "columns", "system"})
    fields["line_bytes"] = source.limits.line_bytes
    fields["divided_by"] = [source.split.group_by, source.split.time]
    content = [[p.split, p.opened.identity] for p in parts]
    inputs = {"source": fields, "content": content}
    return stage_key("ingest", inputs, __name__)


def _write_part(source: StoredSource, part: _Part, out: SnapshotWriter) -> str:
    """Write the rows of a part and return which format they have, in a sentence."""
    records = part.opened.read()
    start = list(itertools.islice(records, _SEARCHED))
    good = [row for _, row in start if not isinstance(row, BadLine)]
    if not good:
        raise _no_rows_error(part, start)
    convert = find_converter(source, good, part.path)
    written = out.rows
    for origin, row in itertools.chain(start, records):
        if isinstance(row, BadLine):
            out.reject(origin, row.raw, row.reason)
            continue
        try:
            made = _make_chat_row(source, convert(row), part.split, origin)
            out.write(add_split_columns(made, row, source.split))
        except Unusable as reason:
            out.reject(origin, _show_raw(row), str(reason))
    if out.rows == written:
        raise _none_converts_error(part, convert, good[0])
    return choose_format(source, good, part.path).sentence()


def _make_chat_row(
    source: StoredSource, fields: ConvertedRow, split: str | None, origin: str
) -> ChatRow:
    # An empty system message says nothing, and a model is not told so.
    messages = [m for m in fields.messages if m["role"] != "system" or m["content"].strip()]
    if not messages:
        raise Unusable("it has no message but an empty system message")
    label, last = fields.label, messages[-1]
    # One answer of a pair is no label: the prompt has two.
    answers = last["role"] == "assistant" and fields.rejected is None
    if label is None and source.role == "domain" and "label" not in source.columns and answers:
        label = last["content"].strip() or None
    if source.system is not None and messages[0]["role"] not in ("system", TEXT_ROLE):
        messages = [{"role": "system", "content": source.system}, *messages]
    row: ChatRow = {
        "row_id": row_id(messages, fields.tools, fields.rejected, fields.reference),
        "messages": messages,
        "label": None if label is None else to_nfc(label),
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


def _refuse_surrogates(row: ChatRow) -> None:
    rejected = row.get("rejected")
    turns = [*row["messages"], *([rejected] if rejected else [])]
    texts: list[Any] = [value for message in turns for value in message.values()]
    texts += [row["label"], row["group"], row.get("tools"), row.get("reference")]
    for text in (*texts, *(row.get("extra") or ())):
        try:
            (text or "").encode()
        except UnicodeEncodeError as error:
            raise Unusable("half of a surrogate pair, which is no Unicode text") from error


def _show_raw(row: Any) -> str:
    try:
        text = json.dumps(row, ensure_ascii=False, default=str)
    except (TypeError, ValueError, RecursionError):
        return ascii(row)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(row, default=str)
    return text


def _no_rows_error(part: _Part, start: list[Record]) -> SourceError:
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


def _none_converts_error(part: _Part, convert: Converter, row: Any) -> SourceError:
    try:
        convert(row)
        reason = "their text is not Unicode"
    except Unusable as error:
        reason = f"in the first, {error}"
    return SourceError(
        f"no row can be converted; {reason}.",
        where=part.path,
        fix="mend the rows where the reason says how; else give the row format with format:, or "
        "map the columns with columns:.",
    )
