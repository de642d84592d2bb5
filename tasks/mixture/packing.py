"""Several documents in one sequence: which go together, and the packed rows.

A pack never attends or trains across its documents: ``seq_lengths`` says where they end (position
ids and the boundaries of a variable-length attention kernel follow from it), and the first token
of each carries no loss.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.errors import DataError
from tasks.mixture.bins import best_fit_decreasing, gather
from tasks.text.chat import IGNORED

Ints = npt.NDArray[np.int64]
Overflow = Literal["drop", "split", "error"]
WINDOW = 16_384
"""Plan positions that are packed together. The order's promise on shares holds at its edges; over
everything at once, packs would be fewer by about 1 % at the most and the order lost."""

_TOKENS = pa.list_(pa.int32())
PACK_SCHEMA = pa.schema(
    [
        pa.field("input_ids", _TOKENS),
        pa.field("labels", _TOKENS),
        pa.field("seq_lengths", _TOKENS),
        pa.field("source_ids", _TOKENS),
        pa.field("positions", pa.list_(pa.int64())),
    ]
)
"""A pack: its tokens and labels, and for each of its documents the length, the source (an index
into the mixture's sources) and the plan position."""


class Pieces(NamedTuple):
    """What is packed: whole rows, or under ``split`` parts of the long ones.

    Attributes:
        row: Which row, int64.
        start: First token of it, int64.
        length: Tokens, 1 to the capacity, int64.
    """

    row: Ints
    start: Ints
    length: Ints


class PackPlan(NamedTuple):
    """Which pieces make up which pack.

    Attributes:
        bin: The pack of each piece, int64.
        order: Pieces pack by pack, within a pack in plan order, int64.
        offsets: Pack k holds ``order[offsets[k]:offsets[k + 1]]``, int64.
    """

    bin: Ints
    order: Ints
    offsets: Ints


def cut(lengths: Ints, capacity: int, overflow: Overflow) -> Pieces:
    """Return the pieces of rows: one a row, but for those longer than ``capacity``.

    ``drop`` leaves these out whole, ``split`` cuts them into parts of ``capacity`` tokens, the
    last one shorter. Rows without a token have no piece.

    Raises:
        DataError: A row is longer, and the policy is ``error``.
    """
    if overflow == "error" and (lengths > capacity).any():
        longest = int(lengths.argmax())
        raise DataError(
            f"row {longest} has {int(lengths[longest]):,} tokens and a pack holds {capacity:,}.",
            where="packing",
            fix="raise the pack length, or choose overflow drop or split.",
        )
    kept = lengths if overflow == "split" else np.where(lengths > capacity, 0, lengths)
    counts = -(-kept // capacity)
    row = np.repeat(np.arange(len(lengths)), counts)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    start = (np.arange(len(row)) - first) * capacity
    return Pieces(row, start, np.minimum(kept[row] - start, capacity))


def plan_packs(lengths: Ints, capacity: int, window: int = WINDOW) -> PackPlan:
    """Return the packs of pieces given in plan order; equal for equal input, on every machine.

    Best fit decreasing within windows of ``window`` pieces. Packs of a window stand in the order
    of their longest documents' places in the plan: that place says nothing about the length, so
    that neither long nor short documents come first.

    Args:
        lengths: Tokens of each piece, 1 to ``capacity``.
        capacity: Tokens a pack holds.
        window: Pieces that are packed together.

    Raises:
        ValueError: A length is outside 1 to ``capacity``.
    """
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= capacity:
        raise ValueError(f"lengths must be 1 to {capacity}")
    bins = np.empty(len(lengths), dtype=np.int64)
    packs = 0
    for start in range(0, len(lengths), window):
        part = slice(start, start + window)
        found = _by_longest(best_fit_decreasing(lengths[part], capacity), lengths[part])
        bins[part] = packs + found
        packs += int(found.max()) + 1
    order = np.argsort(bins, kind="stable")
    return PackPlan(bins, order, np.searchsorted(bins[order], np.arange(packs + 1)))


def _by_longest(bins: Ints, lengths: Ints) -> Ints:
    """Return the bins renumbered by the place of the item that opened each: its longest."""
    longest_first = np.argsort(-lengths, kind="stable")
    _, seen = np.unique(bins[longest_first], return_index=True)
    rank = np.empty(len(seen), dtype=np.int64)
    rank[np.argsort(longest_first[seen])] = np.arange(len(seen))
    return rank[bins]


def position_ids(seq_lengths: Sequence[int] | Ints) -> Ints:
    """Return the position of every token within its document, int64 (tokens,)."""
    lengths = np.asarray(seq_lengths, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    positions: Ints = np.arange(lengths.sum()) - np.repeat(starts, lengths)
    return positions


def pack_table(
    rows: pa.Table, capacity: int, overflow: Overflow = "drop", window: int = WINDOW
) -> pa.Table:
    """Return rows in plan order as packs, in memory.

    Args:
        rows: ``input_ids`` and ``labels`` (lists of int32); ``position`` (int64) and
            ``source_id`` (int32) where they are known, else the row's number and 0.
        capacity: Tokens a pack holds.
        overflow: What becomes of longer rows (:func:`cut`).
        window: Rows that are packed together.

    Returns:
        ``PACK_SCHEMA`` rows, a chunk a window.

    Raises:
        DataError: A row is longer than ``capacity`` and ``overflow`` is ``error``.
    """
    tables = [PACK_SCHEMA.empty_table()]
    for start in range(0, rows.num_rows, window):
        tables.append(_pack_window(rows.slice(start, window), capacity, overflow, start))
    return pa.concat_tables(tables)


def _pack_window(rows: pa.Table, capacity: int, overflow: Overflow, first: int) -> pa.Table:
    ids, labels = (_lists(rows[name]) for name in ("input_ids", "labels"))
    pieces = cut(np.diff(ids.offsets), capacity, overflow)
    # Parts of a cut row would make the window longer, and its edge is a promise.
    plan = plan_packs(pieces.length, capacity, max(len(pieces.length), 1))
    chosen = Pieces(*(column[plan.order] for column in pieces))
    ends = np.cumsum(chosen.length)
    tokens = np.concatenate([[0], ends])[plan.offsets]
    targets = _gathered(labels, chosen)
    targets[ends - chosen.length] = IGNORED
    sources, positions = _origins(rows, first)
    columns = [
        _list(_gathered(ids, chosen), tokens),
        _list(targets, tokens),
        _list(chosen.length.astype(np.int32), plan.offsets),
        _list(sources[chosen.row], plan.offsets),
        _list(positions[chosen.row], plan.offsets),
    ]
    return pa.Table.from_arrays(columns, schema=PACK_SCHEMA)


class _Lists(NamedTuple):
    offsets: Ints
    values: npt.NDArray[np.int32]


def _lists(column: pa.ChunkedArray) -> _Lists:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.array([], _TOKENS)])
    values = np.asarray(array.values).astype(np.int32, copy=False)
    return _Lists(np.asarray(array.offsets).astype(np.int64), values)


def _gathered(lists: _Lists, pieces: Pieces) -> npt.NDArray[np.int32]:
    # Memory of Arrow's pool is used again between windows; fresh pages cost as much as the copy.
    out = np.frombuffer(pa.allocate_buffer(4 * int(pieces.length.sum())), dtype=np.int32)
    gather(lists.values, lists.offsets[pieces.row] + pieces.start, pieces.length, out)
    return out


def _origins(rows: pa.Table, first: int) -> tuple[npt.NDArray[np.int32], Ints]:
    known = set(rows.column_names)
    sources = rows["source_id"].to_numpy() if "source_id" in known else np.zeros(rows.num_rows)
    positions = (
        rows["position"].to_numpy()
        if "position" in known
        else np.arange(first, first + rows.num_rows)
    )
    return sources.astype(np.int32), positions


def _list(values: npt.NDArray[np.generic], offsets: Ints) -> pa.ListArray:
    if offsets[-1] > np.iinfo(np.int32).max:
        raise DataError(
            "a window holds more than 2^31 tokens.", where="packing", fix="choose a smaller window."
        )
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))
