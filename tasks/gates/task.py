"""The gates as a Prefect task."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.gates import Gate
from tasks.gates.stage import References
from tasks.scores import GateResult, SuiteScores


@task(task_run_name="judge gates", persist_result=True, cache_policy=NO_CACHE)
def judge_gates(
    gates: tuple[Gate, ...],
    references: References,
    candidate: list[SuiteScores],
    first_looks: tuple[GateResult, ...] = (),
) -> list[GateResult]:
    """Return the outcome of every gate, from the stored items of candidate and references.

    With ``first_looks``, one a gate, these are the second looks at the same gates.
    """
    from tasks.gates.stage import judge_against

    return judge_against(gates, references, candidate, dict(enumerate(first_looks)))


@task(task_run_name="count looks at test items", persist_result=True, cache_policy=NO_CACHE)
def count_looks(
    family: str, run_id: str, candidate: list[SuiteScores], results: list[GateResult]
) -> list[GateResult]:
    """Return the outcomes with how many candidates were judged on each gate's test items."""
    from tasks.gates.test_set_usage import record_look

    judged = {r.metric.partition("/")[0] for r in results}
    seen = {s.suite: record_look(family, s, run_id) for s in candidate if s.suite in judged}
    return [r.model_copy(update={"seen": seen[r.metric.partition("/")[0]]}) for r in results]


@task(task_run_name="note looks at test items", persist_result=True, cache_policy=NO_CACHE)
def note_looks(family: str, run_id: str, candidate: list[SuiteScores]) -> dict[str, int]:
    """Return, by suite, how many candidates were looked at on its test items, this one included."""
    from tasks.gates.test_set_usage import record_look

    return {s.suite: record_look(family, s, run_id) for s in candidate if not s.aggregate}
