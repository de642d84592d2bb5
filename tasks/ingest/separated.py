"""CSV and its relatives, with the text of every row that is not one."""

import csv
from collections.abc import Iterator
from typing import Any

from configs.sources import Limits
from tasks.ingest.paths import DataFile
from tasks.ingest.records import BadLine, Damaged, Record, Row, bad_line
from tasks.ingest.streams import lines, text_stream

DELIMITERS = ",;\t|"
"""What may stand between the fields of a .csv file; its header decides, the comma first."""


def read_separated(file: DataFile, limits: Limits) -> Iterator[Record]:
    """Yield the rows of a .csv or .tsv file, one that can't be split as its header says as bad.

    Raises:
        Damaged: The header names a column twice, or can't be split.
    """
    with text_stream(file, limits) as stream:
        text = _Text(stream, limits.line_bytes)
        first = next(text, "")
        delimiter = "\t" if file.kind == "tsv" else _delimiter(first)
        header = _header(first, text, delimiter)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        yield from _records(file, rows, text, header)


class _Text:
    """Lines as csv takes them, remembered until the row they belong to is done."""

    def __init__(self, stream: Any, most: int) -> None:
        self._lines = lines(stream, most)
        self.taken: list[str] = []
        self.number, self.cut = 0, False

    def __iter__(self) -> "_Text":
        return self

    def __next__(self) -> str:
        line, cut = next(self._lines)
        # A byte that is not UTF-8 becomes U+FFFD, which quality reports as a control character.
        text = line.decode("utf-8", "replace")
        self.number += 1
        self.taken.append(text)
        self.cut = self.cut or cut
        return text

    def forget(self) -> None:
        """Begin the next row."""
        self.taken.clear()
        self.cut = False


def _delimiter(header: str) -> str:
    found = {sign: len(_split(header, sign)) for sign in DELIMITERS}
    return "," if found[","] > 1 else max(DELIMITERS, key=lambda sign: found[sign])


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _header(first: str, text: _Text, delimiter: str) -> list[str]:
    # A header may itself hold line breaks, so that the reader has to see what follows.
    def replayed() -> Iterator[str]:
        if first:
            yield first
        yield from text

    try:
        header = next(csv.reader(replayed(), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise Damaged(f"its header is not CSV: {error}") from error
    again = next((name for name in header if name and header.count(name) > 1), None)
    if again is not None:
        raise Damaged(f"its header names the column '{again[:60]}' twice")
    text.forget()
    return header


def _records(file: DataFile, rows: Any, text: _Text, header: list[str]) -> Iterator[Record]:
    while True:
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield f"{file.name}:{text.number}", bad_line("".join(text.taken), f"not CSV: {error}")
        else:
            if fields:
                yield f"{file.name}:{text.number}", _named(header, fields, text)
        text.forget()


def _named(header: list[str], fields: list[str], text: _Text) -> Row | BadLine:
    if text.cut:
        return bad_line("".join(text.taken), "a line is longer than limits.line_bytes")
    if len(fields) == len(header):
        return dict(zip(header, fields, strict=True))
    reason = f"{len(fields)} fields where the header has {len(header)}"
    return bad_line("".join(text.taken), reason)
