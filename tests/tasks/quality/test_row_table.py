from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from tasks.quality.row_table import are_classes, build_identities
from tasks.text.rows import ROW_SCHEMA

Row = Callable[..., dict[str, Any]]


def test_the_system_message_is_no_part_of_the_prompt(row: Row) -> None:
    system = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "x"},
    ]
    frame = build_identities(_table([row("", messages=system), row("a", "y")]))
    assert frame["prompt_key"].nunique() == 1
    assert frame["text_key"].nunique() == 2


@pytest.mark.parametrize(
    ("labels", "mapped", "classes"),
    [
        (["a", "b"], True, True),
        (["a", "b"], False, False),
        (["a", "a", "b", "b"], False, True),
        (["a", "b", "c", "a"], False, False),
        ([None, None], True, False),
        ([], True, False),
    ],
)
def test_labels_are_classes_when_mapped_or_when_they_repeat(
    labels: list[str | None], mapped: bool, classes: bool
) -> None:
    assert are_classes(pd.Series(labels, dtype=pd.StringDtype("pyarrow")), mapped=mapped) is classes


def _table(rows: list[dict[str, Any]]) -> Any:
    return pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
