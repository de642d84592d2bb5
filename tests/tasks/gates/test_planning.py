import pytest

from configs.gates import FloorGate, Gate, HoldGate, ImproveGate
from configs.metrics import Metric
from tasks.errors import RecipeError
from tasks.gates.planning import plan_gate, refuse_unresolved

ACCURACY = Metric("higher", "proportion", 0.25)
MARGIN = Metric("higher", "mean")


def hold(margin: float, discordance: float = 0.2) -> HoldGate:
    return HoldGate(rule="hold", metric="mmlu/accuracy", margin=margin, discordance=discordance)


def test_a_margin_that_so_many_items_cannot_show_is_refused() -> None:
    plans = tuple(plan_gate(hold(m), ACCURACY, 1000) for m in (0.05, 0.03))
    assert plans[0].refused == ""
    assert plans[0].note == "1,000 items show a margin of 0.0352, with 20% of the answers changed"
    with pytest.raises(RecipeError, match="takes about 1,374 items") as error:
        refuse_unresolved(plans)
    assert error.value.where == "gates.1.margin"
    refuse_unresolved((plan_gate(hold(0.03, discordance=0.1), ACCURACY, 1000),))


@pytest.mark.parametrize("estimator", ["proportion", "f1"])
def test_full_mmlu_supports_a_point_at_ten_percent(estimator: str) -> None:
    metric = Metric("higher", estimator)  # type: ignore[arg-type]
    assert not plan_gate(hold(0.01, 0.1), metric, 14_042).refused
    assert plan_gate(hold(0.01, 0.1), metric, 6_000).refused


def test_continuous_metrics_are_warned_of_not_refused() -> None:
    found = plan_gate(hold(0.05), MARGIN, 100)
    assert found.refused == ""
    assert found.note.startswith("warning: 100 items show this margin only if")
    assert "under 0.201" in found.note
    assert (found.resolvable, found.discordance) == (None, None)


@pytest.mark.parametrize(
    ("gate", "note"),
    [
        (
            ImproveGate(rule="improve", metric="mmlu/accuracy", by=0.1),
            "1,000 items show a gain of 0.135 or more, with 20% of the answers changed",
        ),
        (FloorGate(rule="floor", metric="mmlu/accuracy", at=0.5), "1,000 items"),
    ],
)
def test_other_gates_say_what_they_can_show_and_are_not_refused(gate: Gate, note: str) -> None:
    found = plan_gate(gate, ACCURACY, 1000)
    assert (found.refused, found.note) == ("", note)
