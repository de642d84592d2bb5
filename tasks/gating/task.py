"""The gates as a Prefect task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.evaluation import Gate
from tasks.artifacts import GateResult, SuiteScores


@task(task_run_name="judge gates", persist_result=True, cache_policy=NO_CACHE)
def judge_gates(
    gates: tuple[Gate, ...], base: list[SuiteScores], candidate: list[SuiteScores]
) -> list[GateResult]:
    """Return the outcome of every gate, from the stored items of base and candidate."""
    from tasks.gating.gates import judge_all

    return judge_all(gates, base, candidate)
