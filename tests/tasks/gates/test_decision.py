import numpy as np
import pytest

from configs.gates import HoldGate, ImproveGate
from configs.metrics import Metric
from configs.suites.behaviour import SAFE, UNSAFE
from configs.suites.generation import PAIRWISE
from configs.suites.harness import HarnessMetric, HarnessSuite
from configs.suites.mmlu import LETTERS
from tasks.gates.decision import refusal
from tasks.metrics.correction import share
from tasks.metrics.label_sets import HIT, LabelSets
from tasks.metrics.values import ItemValues, Numbers


def test_thin_classes_of_lists_are_too_few_for_a_macro_f1() -> None:
    codes = np.array([[0], [0], [0], [0], [0], [1]])
    sets = LabelSets(codes, np.full((6, 1), HIT), ("often", "once", "never"), "macro")
    gate = ImproveGate(rule="improve", metric="voc/macro_f1")
    items = ItemValues(tuple("abcdef"), sets)
    found = refusal(gate, Metric("higher", "f1", 0.0), items)
    assert found is not None
    assert found.verdict == "INCONCLUSIVE"
    assert "1 of 2 classes have fewer than 5 items ('once' has 1)" in found.reason


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        (LETTERS["letter_mass"], [0.004, 0.006] * 50),
        (UNSAFE["unsafe_refusal_corrected"], [share(False)] * 100),
        (SAFE["over_refusal_corrected"], [share(True)] * 100),
        (PAIRWISE["win_rate"], [0.0] * 100),
        (HarnessMetric(chance=0.25), [1.0, 0.0, 0.0, 0.0] * 25),
    ],
)
def test_what_has_nothing_to_lose_cannot_be_held(
    metric: Metric | HarnessMetric, values: list[float]
) -> None:
    if isinstance(metric, HarnessMetric):
        suite = HarnessSuite(kind="harness", name="h", task="mmlu", metrics={"acc": metric})
        metric = suite.metric_table()["acc"]
    data = Numbers(
        np.array(values),
        metric.estimator == "proportion",
        metric.span,
        metric.estimator == "corrected",
    )
    items = ItemValues(tuple(str(i) for i in range(100)), data)
    found = refusal(HoldGate(rule="hold", metric="a/b", margin=0.05), metric, items)
    assert found is not None
    assert "could not be seen here" in found.reason


def test_a_mass_of_letters_above_nothing_can_be_held() -> None:
    data = Numbers(np.array([0.1, 0.15] * 85), span=(0.0, 1.0))
    items = ItemValues(tuple(str(i) for i in range(170)), data)
    gate = HoldGate(rule="hold", metric="a/b", margin=0.05)
    assert refusal(gate, LETTERS["letter_mass"], items) is None
