"""Several documents in one sequence: which go together, and the packed rows.

A pack never attends or trains across its documents: ``seq_lengths`` says where they end (position
ids and the boundaries of a variable-length attention kernel follow from it), and the first token
of each carries no loss.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from configs.training import Overflow
from tasks.errors import DataError
from tasks.mixture.order import Ints
from tasks.text.masks import IGNORED

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


def cut_rows(lengths: Ints, capacity: int, overflow: Overflow) -> Pieces:
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
        found = _order_by_longest(fill_bins(lengths[part], capacity), lengths[part])
        bins[part] = packs + found
        packs += int(found.max()) + 1
    order = np.argsort(bins, kind="stable")
    return PackPlan(bins, order, np.searchsorted(bins[order], np.arange(packs + 1)))


def _order_by_longest(bins: Ints, lengths: Ints) -> Ints:
    """Return the bins renumbered by the place of the item that opened each: its longest."""
    longest_first = np.argsort(-lengths, kind="stable")
    _, seen = np.unique(bins[longest_first], return_index=True)
    rank = np.empty(len(seen), dtype=np.int64)
    rank[np.argsort(longest_first[seen])] = np.arange(len(seen))
    return rank[bins]


def pack_table(
    rows: pa.Table, capacity: int, overflow: Overflow = "drop", window: int = WINDOW
) -> pa.Table:
    """Return rows in plan order as packs, in memory.

    Args:
        rows: ``input_ids`` and ``labels`` (lists of int32); ``position`` (int64) and
            ``source_id`` (int32) where they are known, else the row's number and 0.
        capacity: Tokens a pack holds.
        overflow: What becomes of longer rows (:func:`cut_rows`).
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
    ids, labels = (_open_lists(rows[name]) for name in ("input_ids", "labels"))
    pieces = cut_rows(np.diff(ids.offsets), capacity, overflow)
    # Parts of a cut row would make the window longer, and its edge is a promise.
    plan = plan_packs(pieces.length, capacity, max(len(pieces.length), 1))
    chosen = Pieces(*(column[plan.order] for column in pieces))
    ends = np.cumsum(chosen.length)
    tokens = np.concatenate([[0], ends])[plan.offsets]
    targets = _copy_pieces(labels, chosen)
    targets[ends - chosen.length] = IGNORED
    sources, positions = _read_origins(rows, first)
    columns = [
        _make_list(_copy_pieces(ids, chosen), tokens),
        _make_list(targets, tokens),
        _make_list(chosen.length.astype(np.int32), plan.offsets),
        _make_list(sources[chosen.row], plan.offsets),
        _make_list(positions[chosen.row], plan.offsets),
    ]
    return pa.Table.from_arrays(columns, schema=PACK_SCHEMA)


class _Lists(NamedTuple):
    offsets: Ints
    values: npt.NDArray[np.int32]


def _open_lists(column: pa.ChunkedArray) -> _Lists:
    array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks or [pa.array([], _TOKENS)])
    values = np.asarray(array.values).astype(np.int32, copy=False)
    return _Lists(np.asarray(array.offsets).astype(np.int64), values)


def _copy_pieces(lists: _Lists, pieces: Pieces) -> npt.NDArray[np.int32]:
    # Memory of Arrow's pool is used again between windows; fresh pages cost as much as the copy.
    out = np.frombuffer(pa.allocate_buffer(4 * int(pieces.length.sum())), dtype=np.int32)
    copy_runs(lists.values, lists.offsets[pieces.row] + pieces.start, pieces.length, out)
    return out


def _read_origins(rows: pa.Table, first: int) -> tuple[npt.NDArray[np.int32], Ints]:
    known = set(rows.column_names)
    sources = rows["source_id"].to_numpy() if "source_id" in known else np.zeros(rows.num_rows)
    positions = (
        rows["position"].to_numpy()
        if "position" in known
        else np.arange(first, first + rows.num_rows)
    )
    return sources.astype(np.int32), positions


def _make_list(values: npt.NDArray[np.generic], offsets: Ints) -> pa.ListArray:
    if offsets[-1] > np.iinfo(np.int32).max:
        raise DataError(
            "a window holds more than 2^31 tokens.", where="packing", fix="choose a smaller window."
        )
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(values))


def fill_bins(lengths: Ints, capacity: int) -> Ints:
    """Return the bin of each item: longest first, into the fullest bin that still has room.

    Best fit decreasing (Johnson 1974), equal lengths in the order given. Bins are numbered as
    they are opened.

    Args:
        lengths: Item sizes, 1 to ``capacity`` each, int64.
        capacity: Size of a bin.
    """
    bins: Ints = _fill_best(lengths, np.argsort(-lengths, kind="stable"), capacity)
    return bins


@njit(cache=True)
def _fill_best(lengths: Ints, order: Ints, capacity: int) -> Ints:
    # Open bins are kept by the space left in them: a stack for each space, and a tree over the
    # spaces that occur, so that an item costs O(log capacity).
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    occurs = np.zeros(2 * leaves, np.bool_)
    top = np.full(capacity + 1, -1, np.int64)
    below = np.full(len(lengths), -1, np.int64)
    bins = np.empty(len(lengths), np.int64)
    opened = 0
    for item in order:
        space = _find_space(occurs, leaves, lengths[item])
        if space < 0:
            chosen, space = opened, capacity
            opened += 1
        else:
            chosen = top[space]
            top[space] = below[chosen]
            if top[space] < 0:
                _drop_space(occurs, leaves, space)
        left = space - lengths[item]
        if top[left] < 0:
            _add_space(occurs, leaves, left)
        below[chosen], top[left] = top[left], chosen
        bins[item] = chosen
    return bins


@njit(cache=True)
def _find_space(occurs: npt.NDArray[np.bool_], leaves: int, least: int) -> int:
    """Return the smallest space that occurs and is at least ``least``; -1 where there is none."""
    node = leaves + least
    if occurs[node]:
        return least
    while node > 1:
        if node % 2 == 0 and occurs[node + 1]:
            node += 1
            while node < leaves:
                node = 2 * node if occurs[2 * node] else 2 * node + 1
            return int(node - leaves)
        node //= 2
    return -1


@njit(cache=True)
def _add_space(occurs: npt.NDArray[np.bool_], leaves: int, space: int) -> None:
    node = leaves + space
    while node and not occurs[node]:
        occurs[node] = True
        node //= 2


@njit(cache=True)
def _drop_space(occurs: npt.NDArray[np.bool_], leaves: int, space: int) -> None:
    node = leaves + space
    occurs[node] = False
    node //= 2
    while node and not (occurs[2 * node] or occurs[2 * node + 1]):
        occurs[node] = False
        node //= 2


@njit(cache=True)
def copy_runs(
    values: npt.NDArray[np.int32], starts: Ints, lengths: Ints, out: npt.NDArray[np.int32]
) -> None:
    """Copy the runs of ``values`` one after the other into ``out``, which has their exact size."""
    at = 0
    for start, length in zip(starts, lengths):  # noqa: B905 (numba knows no strict)
        out[at : at + length] = values[start : start + length]
        at += length
