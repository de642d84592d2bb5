"""A cluster's jobs as attempts: by how their names begin, and which of them counts."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.training.backends.nova.service import best, numbers

STEM = "temper-nova-0123-"


@given(st.integers(1, 999), st.from_regex(r"(-[a-z0-9]{1,8})?", fullmatch=True))
def test_a_name_that_was_added_to_keeps_its_number(attempt: int, added: str) -> None:
    assert numbers([f"{STEM}{attempt}{added}"], STEM, {}) == {f"{STEM}{attempt}{added}": attempt}


def test_other_work_is_not_an_attempt() -> None:
    others = [f"{STEM}", "temper-nova-0124-1", f"x{STEM}1", "job"]
    assert numbers(others, STEM, {"1": "gone"}) == {}


def test_a_remembered_name_needs_no_likeness() -> None:
    assert numbers(["the-job", f"{STEM}1-a"], STEM, {"2": "the-job"}) == {
        "the-job": 2,
        f"{STEM}1-a": 1,
    }


def test_what_is_done_counts_first_then_the_newest_that_runs() -> None:
    def of(**states: str) -> str | None:
        there: Any = {name: {"TrainingJobStatus": state} for name, state in states.items()}
        return best(there, {"a": 1, "b": 2, "c": 3})

    assert of(a="Completed", b="InProgress", c="Failed") == "a"
    assert of(a="InProgress", b="InProgress", c="Stopped") == "b"
    assert of(a="Failed", b="Stopped", c="Failed") is None
