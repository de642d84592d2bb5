from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.suites.labels import SINGLE
from configs.suites.mmlu import CLOZE, LETTERS
from tasks.errors import EvaluationError
from tasks.metrics.estimates import BY_KIND, estimate_all

Table = Callable[..., pa.Table]


def test_a_suites_metrics_come_from_its_stored_items(tmp_path: Path, table: Table) -> None:
    answers = ["a", "a", "b", None, "a", "b"]
    rows = [
        {"form": "classification", "gold": g, "prediction": p, "score": float(g == p)}
        for g, p in zip("aabbab", answers, strict=True)
    ]
    pq.write_table(table(rows, ["a", "b"]), tmp_path / "items.parquet")
    found = estimate_all(tmp_path / "items.parquet", SINGLE)
    assert list(found) == list(SINGLE)
    assert found["accuracy"].value == pytest.approx(5 / 6)
    assert found["invalid_rate"].value == pytest.approx(1 / 6)
    assert found["macro_f1"].value == pytest.approx((1.0 + 0.8) / 2)
    assert all(e.n == 6 and e.low <= e.value <= e.high for e in found.values())


def test_a_suite_without_the_cloze_form_does_not_give_cloze_metrics(
    tmp_path: Path, table: Table
) -> None:
    row = {"form": "letters", "gold_index": 0, "score": 1.0, "choice_logprobs": [-1.0, -2.0]}
    pq.write_table(table([row] * 3), tmp_path / "items.parquet")
    with pytest.raises(EvaluationError, match="cloze"):
        estimate_all(tmp_path / "items.parquet", {**LETTERS, **CLOZE})


def test_every_suite_kind_of_the_recipe_has_its_metrics() -> None:
    from typing import get_args

    from configs.evaluation import Suite

    kinds = {get_args(s.model_fields["kind"].annotation)[0] for s in get_args(get_args(Suite)[0])}
    assert kinds == set(BY_KIND)
