"""Columns of a per-item table as checked numpy arrays."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import EvaluationError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def reals(rows: pa.Table, column: str, only: tuple[float, ...] = ()) -> Floats:
    """Return a column as finite float64, shape (rows,); ``only`` lists the values allowed.

    Raises:
        EvaluationError: A value is missing, not finite or not allowed.
    """
    values = rows[column].cast(pa.float64()).to_numpy(zero_copy_only=False)
    _refuse(rows, column, ~np.isfinite(values) | (bool(only) & ~np.isin(values, only)))
    return np.asarray(values, dtype=np.float64)


def integers(rows: pa.Table, column: str) -> Ints:
    """Return a column as int64, shape (rows,).

    Raises:
        EvaluationError: A value is missing.
    """
    return reals(rows, column).astype(np.int64)


def matrix(rows: pa.Table, column: str, pad: float = -np.inf) -> Floats:
    """Return a list column as float64, shape (rows, longest list), short lists padded.

    Raises:
        EvaluationError: A list or a value in it is missing or not finite.
    """
    lists = rows[column].combine_chunks()
    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    values = pc.list_flatten(lists).cast(pa.float64()).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(rows)), lengths)
    bad = lengths == 0
    bad[owner[~np.isfinite(values)]] = True
    _refuse(rows, column, bad)
    place = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    out = np.full((len(rows), int(lengths.max())), pad)
    out[owner, place] = values
    return out


def codes(groups: Sequence[str | None], *, alone: bool) -> Ints | None:
    """Return 0-based group codes, or None where grouping says nothing.

    Args:
        groups: Group of each item; None where it has none.
        alone: Items without a group are each their own group; otherwise they share one.
    """
    keys = [(g is None, f"{i if alone else ''}" if g is None else g) for i, g in enumerate(groups)]
    index: dict[tuple[bool, str], int] = {}
    found = np.array([index.setdefault(k, len(index)) for k in keys], dtype=np.int64)
    trivial = len(keys) if alone else 1
    return None if len(index) == trivial else found


def _refuse(rows: pa.Table, column: str, bad: Bools) -> None:
    if bad.any():
        first = rows["item_id"][int(np.argmax(bad))].as_py()
        raise EvaluationError(
            f"{int(bad.sum())} items have no usable '{column}', the first being {first}.",
            where=str(rows["suite"][0]),
            fix="evaluate the suite anew.",
        )
