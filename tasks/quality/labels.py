"""Whether a source's labels are classes, or answers that happen to be stored as labels."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd


def are_classes(labels: "pd.Series[str]", *, mapped: bool) -> bool:
    """Return whether labels name classes, so that balance and contradiction mean something.

    Ingest takes the answer of a domain row as its label. Where a column was mapped as the label,
    or an answer occurs twice on average, these are classes; free answers differ from row to row,
    and two different ones to the same question contradict nobody.

    Args:
        labels: A label a row, null where there is none.
        mapped: Whether the recipe maps a column to ``label``.
    """
    given = labels.dropna()
    return bool(len(given)) and (mapped or given.nunique() * 2 <= len(given))


def unseen_labels(
    labels: "pd.Series[str]", names: npt.NDArray[np.object_]
) -> npt.NDArray[np.bool_]:
    """Return the test rows whose label no training row has (n).

    Args:
        labels: A label a row, null where there is none (n).
        names: train, dev or test; None for a row that was set aside (n).
    """
    seen = labels[names == "train"].dropna().unique()
    given = labels.notna().to_numpy(dtype=bool)
    known = labels.isin(seen).to_numpy(dtype=bool)
    return np.asarray((names == "test") & given & ~known, dtype=bool)


def balance_warnings(
    counts: Mapping[str, Mapping[str, int]], min_rows: int, max_share: float
) -> list[str]:
    """Return what is wrong with the balance of classes in training rows, a sentence each.

    Args:
        counts: Label -> split -> rows.
        min_rows: Fewest training rows a class should have.
        max_share: Largest share of the training rows that a class should have.
    """
    rows = {label: splits["train"] for label, splits in counts.items()}
    total = sum(rows.values())
    if not total:
        return []
    most, least = max(rows, key=lambda n: rows[n]), min(rows, key=lambda n: rows[n])
    few = [label for label, number in rows.items() if number < min_rows]
    found = []
    if rows[most] / total > max_share:
        found.append(
            f"The largest class, '{most}', has {rows[most] / total:.1%} of the training rows "
            f"({rows[most]:,} of {total:,}), so naming it always looks right."
        )
    if few:
        found.append(
            f"{len(few):,} of {len(rows):,} classes have fewer than {min_rows} training rows; "
            f"the smallest, '{least}', has {rows[least]:,} ({rows[least] / total:.2%})."
        )
    return found
