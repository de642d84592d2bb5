"""CSV and its relatives, with the text of every row that is not one."""

import csv
from collections.abc import Iterator
from typing import Any

from configs.sources import Limits
from tasks.files.locate import DataFile
from tasks.files.records import BadLine, Damaged, Numbered, Row, make_bad_line
from tasks.files.streams import iterate_lines, open_text

DELIMITERS = ",;\t|"
"""What may stand between the fields of a .csv file; its header decides, the comma first."""


def read_delimited(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    """Yield the rows of a .csv or .tsv file, one that can't be split as its header says as bad.

    Raises:
        Damaged: The header names a column twice, or can't be split.
    """
    with open_text(file, limits) as stream:
        text = _RowLines(stream, limits.line_bytes)
        first = next(text, "")
        delimiter = "\t" if file.container == "tsv" else _find_delimiter(first)
        header = _read_header(first, text, delimiter)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        while True:
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield text.number, make_bad_line("".join(text.taken), f"not CSV: {error}")
            else:
                if fields:
                    yield text.number, _name_fields(header, fields, text)
            text.forget()


class _RowLines:
    """Lines as csv takes them, remembered until the row they belong to is done."""

    def __init__(self, stream: Any, most: int) -> None:
        self._lines = iterate_lines(stream, most)
        self.taken: list[str] = []
        self.number, self.cut = 0, False

    def __iter__(self) -> "_RowLines":
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


def _find_delimiter(header: str) -> str:
    found = {sign: len(_split(header, sign)) for sign in DELIMITERS}
    return "," if found[","] > 1 else max(DELIMITERS, key=lambda sign: found[sign])


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _read_header(first: str, text: _RowLines, delimiter: str) -> list[str]:
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


def _name_fields(header: list[str], fields: list[str], text: _RowLines) -> Row | BadLine:
    if text.cut:
        return make_bad_line("".join(text.taken), "a line is longer than limits.line_bytes")
    if len(fields) == len(header):
        return dict(zip(header, fields, strict=True))
    reason = f"{len(fields)} fields where the header has {len(header)}"
    return make_bad_line("".join(text.taken), reason)
