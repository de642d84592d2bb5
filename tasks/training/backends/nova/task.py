"""Prefect shells of Nova's evaluations: submit and wait are two tasks."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.training.backends.nova.evaluation_jobs import EvaluationResult
from tasks.training.backends.nova.evaluation_request import EvaluationRequest


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="submit Nova's evaluation {asked.name}",
)
def submit_nova_evaluation(asked: EvaluationRequest) -> str:
    """Start the evaluation at the service, or find it where it already runs."""
    from tasks.training.backends.nova.evaluation_jobs import NovaEvaluation

    return NovaEvaluation(asked).submit()


@task(
    persist_result=True,
    cache_policy=NO_CACHE,
    task_run_name="wait for Nova's evaluation {asked.name}",
)
def wait_for_nova_evaluation(asked: EvaluationRequest, name: str) -> EvaluationResult:
    """Watch the evaluation to its end and fetch its files."""
    from tasks.training.backends.nova.evaluation_jobs import NovaEvaluation

    return NovaEvaluation(asked).wait(name)
