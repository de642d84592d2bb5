import pytest

from configs.gates import FloorGate, Gate, HoldGate, ImproveGate
from configs.metrics import Metric
from tasks.errors import RecipeError
from tasks.gates.planning import joint_chance, plan_gate, refuse_unresolved

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


F1 = Metric("higher", "f1", 0.0)


def test_a_class_of_few_items_is_named_before_anything_is_trained() -> None:
    gate = ImproveGate(rule="improve", metric="voc/macro_f1")
    found = plan_gate(gate, F1, 40, {"refund": 2, "delay": 1, "other": 37})
    assert "2 of 3 classes have fewer than 5 items ('delay' has 1)" in found.refused
    with pytest.raises(RecipeError, match="'delay' has 1") as error:
        refuse_unresolved((found,))
    assert error.value.where == "gates.0.metric"
    assert "micro_f1" in (error.value.fix or "")
    assert not plan_gate(gate, F1, 40, {"refund": 5, "delay": 5, "other": 30}).refused
    assert not plan_gate(gate, F1, 40).refused


def test_the_class_that_decides_is_named_with_what_may_go_unseen_in_it() -> None:
    gate = HoldGate(rule="hold", metric="voc/macro_f1", margin=0.1, discordance=0.05)
    found = plan_gate(gate, F1, 200, {"common": 195, "rare": 5})
    assert "the class 'rare' has 5 items and counts for 1 of 2" in found.refused
    assert "a loss of 0.225 may go unseen" in found.refused
    assert "takes 14 of each class" in found.refused
    assert plan_gate(gate, F1, 200, {"common": 187, "rare": 13}).refused
    assert not plan_gate(gate, F1, 200, {"common": 186, "rare": 14}).refused


def test_a_mean_with_ends_is_warned_of_where_a_rare_loss_may_go_unseen() -> None:
    bits = Metric("lower", "ratio", span=(0.0, 4.0))
    gate = HoldGate(rule="hold", metric="b/bits_per_byte", margin=0.1)
    few, many = plan_gate(gate, bits, 40), plan_gate(gate, bits, 400)
    assert "40 leave up to 0.289 unseen" in few.note
    assert "under 100 items a few may carry the whole difference" in few.note
    assert "unseen" not in many.note


def test_the_chance_that_all_gates_pass_falls_with_their_number() -> None:
    plans = [plan_gate(hold(0.05), ACCURACY, 495)] * 3
    assert plans[0].chance == pytest.approx(0.8, abs=0.005)
    assert "passes with a chance of 0.80" in joint_chance(plans[:1])
    assert "all 3 hold gates pass with a chance of 0.51" in joint_chance(plans)
    other = plan_gate(ImproveGate(rule="improve", metric="mmlu/accuracy"), ACCURACY, 495)
    assert "of the other 1 it isn't known beforehand" in joint_chance([*plans, other])
    assert joint_chance([other]) == ""
