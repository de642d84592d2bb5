"""One call of a stage, inside a flow and outside of one."""

import pytest
from prefect import flow, task
from prefect.context import TaskRunContext

from flows.run_task import map_task, map_task_over_pairs, run_task


@task
def weigh(name: str, weight: float, unit: str = "kg") -> tuple[str, bool]:
    """Return what is written on the scales, and whether this is a task's run."""
    return f"{name} {weight:g} {unit}", TaskRunContext.get() is not None


def weigh_all() -> list[tuple[str, bool]]:
    return [
        run_task(weigh, "a", 1.0),
        run_task(weigh, "b", 2.0, unit="t"),
        *map_task(weigh, ["c", "d"], 3.0, unit="g"),
        *map_task(weigh, [], 3.0),
        *map_task_over_pairs(weigh, [("e", 4.0), ("f", 5.0)], "lb"),
        *map_task_over_pairs(weigh, [], "lb"),
    ]


SAID = ["a 1 kg", "b 2 t", "c 3 g", "d 3 g", "e 4 lb", "f 5 lb"]


def test_outside_of_a_flow_tasks_are_the_plain_functions_in_order() -> None:
    assert weigh_all() == [(said, False) for said in SAID]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_inside_a_flow_they_are_task_runs_with_the_same_results(prefect_server: str) -> None:
    assert flow(weigh_all)() == [(said, True) for said in SAID]


def test_a_failure_of_one_item_is_raised() -> None:
    @task
    def divide(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        map_task(divide, [1, 0])
