"""What a check is given: a batch of rows, and what all batches of a source have in common."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from configs.quality import Quality
from tasks.quality.checks.texts import (
    COLUMNS,
    Flags,
    Flat,
    Texts,
    flatten,
    read_all_texts,
    read_texts,
)

T = TypeVar("T")
BATCH_ROWS = 50_000


class CheckContext:
    """What the checks of one source have in common.

    Attributes:
        table: All of its chat rows.
        quality: The recipe's section.
        role: ``domain`` or ``general``.
        control_tokens: Those of the model's own tokenizer.
        languages: Language -> rows, counted as batches are looked at.
    """

    def __init__(
        self,
        table: Any,
        quality: Quality,
        role: str = "general",
        *,
        labelled: bool = False,
        control_tokens: Sequence[str] = (),
    ) -> None:
        self.table, self.quality, self.role = table, quality, role
        self.control_tokens = control_tokens
        self.languages: Counter[str] = Counter()
        self._labelled = labelled
        self._shared: dict[Callable[..., Any], Any] = {}

    def share(self, compute: Callable[["CheckContext"], T]) -> T:
        """Return what a function makes of this context, made once."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        return cast(T, self._shared[compute])

    @cached_property
    def gives_labels(self) -> bool:
        """Whether the source's rows have labels, so that a row without one lacks it."""
        return self._labelled and not blank_labels(self.table["label"]).all()

    def batches(self) -> Iterator["RowBatch"]:
        """Yield the rows in batches, in order; one empty batch where there are none."""
        batches = self.table.to_batches(max_chunksize=BATCH_ROWS)
        for batch in batches or [pa.RecordBatch.from_pylist([], schema=self.table.schema)]:
            yield RowBatch(batch, self)


class RowBatch:
    """Rows that checks look at together; what several checks need is computed once.

    Attributes:
        rows: Arrow record batch of chat rows (n).
        context: What all batches have in common.
    """

    def __init__(self, rows: Any, context: CheckContext) -> None:
        self.rows, self.context = rows, context
        self._shared: dict[Callable[..., Any], Any] = {}

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def quality(self) -> Quality:
        """The recipe's section."""
        return self.context.quality

    @cached_property
    def flat(self) -> Flat:
        """Messages one after the other."""
        return flatten(self.rows.select(COLUMNS))

    @cached_property
    def texts(self) -> Texts:
        """What the messages say, each different text once."""
        return read_texts(self.rows)

    @cached_property
    def all_texts(self) -> Texts:
        """Every text of the rows, what stands beside the messages included."""
        return read_all_texts(self.rows)

    def share(self, compute: Callable[["RowBatch"], T]) -> T:
        """Return what a function makes of this batch, made once."""
        if compute not in self._shared:
            self._shared[compute] = compute(self)
        return cast(T, self._shared[compute])

    def nothing(self) -> Flags:
        """Return flags that find no row (n)."""
        return np.zeros(len(self), dtype=bool)


def blank_labels(labels: Any) -> Flags:
    """Return the rows of an Arrow column of labels that have none (n)."""
    given = pd.Series(labels.to_pandas(types_mapper=lambda _: pd.StringDtype("pyarrow")))
    return given.fillna("").str.strip().eq("").to_numpy(dtype=bool)
