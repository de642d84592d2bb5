from tasks.artifacts import GateResult
from tasks.tracking.markdown import gates_markdown


def test_every_gate_is_a_row_and_data_cannot_break_it(gates: tuple[GateResult, ...]) -> None:
    text = gates_markdown("INCONCLUSIVE", gates)
    rows = text.splitlines()
    assert rows[0] == "**INCONCLUSIVE**"
    assert len(rows) == 6
    assert "60 (needs 1,234)" in rows[-1]
    assert "<script" not in text
    broken = gates[0].model_copy(update={"reason": "a | b\n| c |"})
    assert len(gates_markdown("PASS", [broken]).splitlines()) == 5


def test_no_gates_are_said_to_be_none() -> None:
    assert gates_markdown("PASS", []) == "**PASS**: the recipe declares no gates."
