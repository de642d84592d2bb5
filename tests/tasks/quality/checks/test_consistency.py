from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tasks.quality.checks.consistency import consistency_flags
from tasks.text.rows import ROW_SCHEMA

PLAIN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
LED = [{"role": "system", "content": "s"}, *PLAIN]
THOUGHT = [PLAIN[0], PLAIN[1] | {"reasoning": "hm"}]


def _found(rows: list[dict[str, Any]], name: str) -> list[int]:
    table = pa.Table.from_pylist([{"row_id": "x"} | r for r in rows], schema=ROW_SCHEMA)
    found: list[int] = np.flatnonzero(consistency_flags(table)[f"inconsistent_{name}"]).tolist()
    return found


@pytest.mark.parametrize(
    ("name", "with_it"),
    [
        ("system", {"messages": LED}),
        ("tools", {"messages": PLAIN, "tools": "[]"}),
        ("reasoning", {"messages": THOUGHT}),
    ],
)
def test_the_fewer_are_found_and_on_a_tie_those_without(name: str, with_it: Any) -> None:
    without = {"messages": PLAIN}
    assert _found([without, with_it, without], name) == [1]
    assert _found([with_it, without, with_it], name) == [1]
    assert _found([with_it, without], name) == [1]
    assert _found([with_it, with_it], name) == []
    assert _found([without, without], name) == []
    assert _found([], name) == []
