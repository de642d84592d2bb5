"""Whether a source's labels are classes, or answers that happen to be stored as labels."""

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
