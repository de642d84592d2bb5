"""CSV and its relatives, with the text of every row that is not one."""

import csv
from collections import deque
from collections.abc import Iterator
from typing import Any

from configs.limits import Limits
from tasks.files.locate import DataFile
from tasks.files.records import Damaged, Numbered, make_bad_line
from tasks.files.streams import iterate_lines, open_text

DELIMITERS = ",;\t|"
"""What may stand between the fields of a .csv file; its header decides, the comma first."""

_LOOKED_AT = 100
"""Lines looked at to tell rows that a quote swallowed from the text of a field."""
_SURE = 4
"""Delimiters in as many right places as make lines look like rows."""


def read_delimited(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    """Yield the rows of a .csv or .tsv file, one that can't be split as its header says as bad.

    A quote that is never closed costs its own line: reading goes on with the next one. What can't
    be used counts by its physical lines, so that a field that swallows a thousand rows is a
    thousand bad lines. A row's number is that of its first line.

    Raises:
        Damaged: The header names a column twice, or can't be split.
    """
    with open_text(file, limits) as stream:
        text = _RowLines(stream, limits.line_bytes)
        first = next(text, "")
        delimiter = "\t" if file.container == "tsv" else _find_delimiter(first)
        header = _read_header(first, text, delimiter)
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        after_bad = False
        while True:
            fields: list[str] = []
            reason = ""
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                reason = f"not CSV: {error}"
            number, lines = text.number - len(text.taken) + 1, text.taken
            unclosed = bool(reason) and len(lines) > _LOOKED_AT
            reason = reason or _find_fault(header, fields, text)
            if reason and (unclosed or _are_rows(lines[1:], len(header), delimiter)):
                reason = f"{reason}; a quote that opens here swallows the rows behind it"
                lines = text.take_back(1)
                rows = csv.reader(text, delimiter=delimiter, strict=True)
            elif not reason and _is_doubtful(lines, len(header), delimiter):
                reason = (
                    f"it can be read in two ways: one row with a quoted field of {len(lines):,} "
                    f"lines, or {len(lines):,} rows with two stray quotes; double the quotes, or "
                    "take them out"
                )
            elif not reason and after_bad and "".join(lines).count('"') % 2:
                reason = "it may be the rest of the broken row before it: it has half a quote"
            if reason:
                for place, line in enumerate(lines):
                    yield number + place, make_bad_line(line, reason)
            elif fields:
                yield number, dict(zip(header, fields, strict=True))
            after_bad = bool(reason) or (after_bad and not fields)
            text.forget()


class _RowLines:
    """Lines as csv takes them, remembered until the row they belong to is done."""

    def __init__(self, stream: Any, most: int) -> None:
        self._lines = iterate_lines(stream, most)
        self._waiting: deque[tuple[str, bool]] = deque()
        self._cuts: list[bool] = []
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> "_RowLines":
        return self

    def __next__(self) -> str:
        if not self._waiting:
            line, cut = next(self._lines)
            # A byte that is not UTF-8 becomes U+FFFD, which quality reports as a control character.
            # Old files end their lines with a carriage return alone.
            self._waiting.extend((p.decode("utf-8", "replace"), cut) for p in line.splitlines(True))
        text, cut = self._waiting.popleft()
        self.number += 1
        self.taken.append(text)
        self._cuts.append(cut)
        return text

    @property
    def cut(self) -> bool:
        """Whether a line taken was too long."""
        return any(self._cuts)

    def take_back(self, kept: int) -> list[str]:
        """Give the lines taken after the first ``kept`` again; return those that are kept."""
        given_back = list(zip(self.taken, self._cuts, strict=True))[kept:]
        self._waiting.extendleft(reversed(given_back))
        self.number -= len(given_back)
        del self.taken[kept:], self._cuts[kept:]
        return self.taken

    def forget(self) -> None:
        """Begin the next row."""
        self.taken, self._cuts = [], []


def _find_fault(header: list[str], fields: list[str], text: _RowLines) -> str:
    """Return what is wrong with a row that was split; empty where nothing is."""
    if text.cut:
        return "a line is longer than limits.line_bytes"
    if fields and len(fields) != len(header):
        return f"{len(fields)} fields where the header has {len(header)}"
    return ""


def _is_doubtful(lines: list[str], fields: int, delimiter: str) -> bool:
    """Return whether the lines of one row would be as many rows, were it not for its quotes."""
    signs = (len(lines) - 1) * (fields - 1)
    # Prose with a comma a line is common in two columns, and is no row for that.
    enough = signs >= (1 if delimiter == "\t" else _SURE)
    return enough and _count_rows(lines, fields, delimiter) == len(lines)


def _are_rows(lines: list[str], fields: int, delimiter: str) -> bool:
    """Return whether the further lines of a bad row are rows of their own, and not its rest."""
    lines = lines[:_LOOKED_AT]
    return bool(lines) and _count_rows(lines, fields, delimiter) * 2 >= len(lines)


def _count_rows(lines: list[str], fields: int, delimiter: str) -> int:
    """Return how many lines would be rows by themselves."""
    return sum(len(_split(line, delimiter)) == fields for line in lines)


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
