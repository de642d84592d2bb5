import numpy as np

from configs.gates import ImproveGate
from configs.metrics import Metric
from tasks.gating.refusals import refusal
from tasks.metrics.labelsets import HIT, LabelSets
from tasks.metrics.values import ItemValues


def test_thin_classes_of_lists_are_too_few_for_a_macro_f1() -> None:
    codes = np.array([[0], [0], [0], [0], [0], [1]])
    sets = LabelSets(codes, np.full((6, 1), HIT), ("often", "once", "never"), "macro")
    gate = ImproveGate(rule="improve", metric="voc/macro_f1")
    items = ItemValues(tuple("abcdef"), sets)
    found = refusal(gate, Metric("higher", "f1", 0.0), items)
    assert found is not None
    assert found.verdict == "INCONCLUSIVE"
    assert "1 of 2 classes have fewer than 5 items ('once' has 1)" in found.reason
