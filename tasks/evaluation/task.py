"""The Prefect shell of evaluation."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

from configs.suites.base import SuiteSection
from tasks.evaluation.items import EvalContext
from tasks.models.factory import Evaluated, title
from tasks.progress import report
from tasks.scores import SuiteScores


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="evaluate {suite.name}")
def evaluate_suite(suite: SuiteSection, model: Evaluated, context: EvalContext) -> SuiteScores:
    """Put one suite's items to a model and store every answer."""
    from tasks.evaluation.stage import evaluate

    doing = f"{suite.name} on {title(model)}"
    return evaluate(suite, model, context, partial(report, doing))
