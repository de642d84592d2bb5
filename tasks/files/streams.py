"""A data file's bytes, unpacked within limits, and lines that end."""

import codecs
import contextlib
import io
import tempfile
from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from configs.limits import Limits
from tasks.files.locate import DataFile
from tasks.files.records import Damaged

FREE = 64 << 20
"""Bytes a file may unpack to whatever its ratio: small files are harmless and compress oddly."""

_SPOOLED = 64 << 20
_BUFFER = 1 << 20
_SIGNATURES = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"PAR1": "Parquet",
    b"ARROW1": "Arrow",
    b"\xd0\xcf\x11\xe0": "an old Office format",
    b"SQLite format 3": "SQLite",
}
_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class _Metered(io.RawIOBase):
    """Bytes as they are unpacked, counted against the limits."""

    def __init__(self, raw: Any, file: DataFile, limits: Limits) -> None:
        self._raw, self._read = raw, 0
        self._most = most_unpacked(file, limits) if file.compression else None

    def readable(self) -> bool:
        """Return true: it is for reading alone."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer and return how many bytes it got.

        Raises:
            Damaged: The file unpacks to more than the limits allow.
        """
        found = self._raw.read(len(buffer))
        buffer[: len(found)] = found
        self._read += len(found)
        if self._most is not None and self._read > self._most:
            raise Damaged(over_limit(self._most))
        return len(found)


def most_unpacked(file: DataFile, limits: Limits) -> int:
    """Return the most bytes that a file may unpack to."""
    return min(limits.unpacked_bytes, max(FREE, int(limits.unpacked_ratio * file.size)))


def over_limit(most: int) -> str:
    """Return what is wrong with a file that unpacks to more than it may."""
    return (
        f"it unpacks to more than {most:,} bytes, which its size doesn't warrant (limits: of "
        "the source, unpacked_bytes and unpacked_ratio)"
    )


@contextlib.contextmanager
def open_stream(file: DataFile, limits: Limits) -> Iterator[IO[bytes]]:
    """Give a file's unpacked bytes from the start."""
    with file.file_system.open_input_stream(file.path, compression=file.compression) as raw:
        yield io.BufferedReader(_Metered(raw, file, limits), buffer_size=_BUFFER)


@contextlib.contextmanager
def open_text(file: DataFile, limits: Limits) -> Iterator[IO[bytes]]:
    """Give the bytes of a file that should be UTF-8 text, its byte-order mark left out.

    Raises:
        Damaged: Its first bytes are another container's, or say UTF-16 or UTF-32.
    """
    with open_stream(file, limits) as opened:
        start = opened.peek(16)[:16]  # type: ignore[attr-defined]
        kind = next((name for sign, name in _SIGNATURES.items() if start.startswith(sign)), None)
        if kind:
            raise Damaged(f"its first bytes are those of {kind}")
        if start.startswith(_MARKS):
            raise Damaged("its first bytes say UTF-16 or UTF-32, and text must be UTF-8")
        if start.startswith(codecs.BOM_UTF8):
            opened.read(len(codecs.BOM_UTF8))
        yield opened


def iterate_lines(opened: IO[bytes], most: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the lines of a stream; one longer than ``most`` bytes is cut there, and said to be."""
    while line := opened.readline(most):
        cut = len(line) == most and not line.endswith(b"\n")
        rest = opened.readline(_BUFFER) if cut else b""
        yield line, bool(rest.strip())
        while rest and not rest.endswith(b"\n"):
            rest = opened.readline(_BUFFER)


@contextlib.contextmanager
def open_seekable(file: DataFile, limits: Limits) -> Iterator[Any]:
    """Give a file as one that can be read from any place, unpacked aside where it has to be."""
    if file.compression is None:
        with file.file_system.open_input_file(file.path) as raw:
            yield raw
        return
    # Parquet is read from its end, and a codec's stream has no end to jump to.
    with (
        open_stream(file, limits) as packed,
        tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as whole,
    ):
        while chunk := packed.read(_BUFFER):
            whole.write(chunk)
        whole.seek(0)
        yield pa.PythonFile(whole, mode="r")
