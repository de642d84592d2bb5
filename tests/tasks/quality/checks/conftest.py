"""What the checks of single rows find in a few chat rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from configs.quality import Quality
from tasks.quality.checks.registry import CHECKS, run_checks
from tasks.quality.checks.row_batch import CheckContext
from tasks.quality.row_table import build_identities
from tasks.text.rows import ROW_SCHEMA

Rows = list[dict[str, Any]]
CLOSE = Quality(max_chars=50, pii=None, secrets=None, mojibake=None, text_rules="off")


@pytest.fixture
def found() -> Callable[..., dict[str, list[int]]]:
    """Returns check -> places of the rows it finds, of the checks that find any."""

    def find(rows: Rows, quality: Quality = CLOSE) -> dict[str, list[int]]:
        table = pa.Table.from_pylist(rows, schema=ROW_SCHEMA)
        made = run_checks(CheckContext(table, quality), build_identities(table), classes=False)
        flags = made.flags | made.reported
        alone = {n: hit for n, hit in flags.items() if CHECKS[n].find is not None and hit.any()}
        return {name: np.flatnonzero(hit).tolist() for name, hit in alone.items()}

    return find
