"""A recipe's suites on Nova models, by Nova's own evaluator."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from configs.evaluation import Suite
from configs.nova import NovaBackend
from configs.recipe import Recipe
from configs.suites.nova_benchmark import NovaBenchmarkSuite
from flows.calling import once
from flows.data import Data, evaluation_context
from flows.nova_stopping import Running, stopped_on_break
from tasks.errors import EvaluationError, RecipeError
from tasks.evaluation.items import EvalContext, Exam
from tasks.models.api import Prompt
from tasks.scores import SuiteScores
from tasks.storage import digest_of, home, write_text
from tasks.training.backends.nova.evaluation_jobs import NovaEvaluation, NovaFound
from tasks.training.backends.nova.evaluation_request import (
    OWN,
    OWN_FILE,
    NovaAsked,
    OwnFile,
    OwnItem,
    own_items,
)
from tasks.training.backends.nova.task import submit_nova_evaluation, wait_for_nova_evaluation

Opened = tuple[Suite, Exam]


class Asking(NamedTuple):
    """The suites that can be put to Nova models, and the names of those that can't."""

    opened: tuple[Opened, ...]
    left_out: tuple[str, ...]


def asking(recipe: Recipe, data: Data) -> Asking:
    """Return which suites Nova's evaluator can put; no model is asked anything.

    Raises:
        EvaluationError: A suite has no usable items, or its prompts can't be put there.
    """
    from tasks.evaluation.registry import open_exam

    context = evaluation_context(recipe, data)
    opened = tuple((suite, open_exam(suite, context)) for suite in recipe.evaluation.suites)
    asked = tuple(one for one in opened if one[1].needs == "answers")
    for one in asked:
        _file_of(one)
    names = {suite.name for suite, _ in asked}
    return Asking(asked, tuple(s.name for s, _ in opened if s.name not in names))


def refuse_gates(recipe: Recipe, found: Asking) -> None:
    """Refuse gates that a Nova model can't be judged by, before it is paid for.

    Raises:
        RecipeError: A gate rests on a suite that can't be put, or wants a second look.
    """
    for i, gate in enumerate(recipe.gates):
        suite = gate.metric.partition("/")[0]
        if suite in found.left_out:
            raise RecipeError(
                f"'{gate.metric}' needs log-probabilities, and Nova's evaluator "
                "gives answers only.",
                where=f"gates.{i}.metric",
                fix="rest the gate on a suite that needs answers alone, or train "
                "without gates by temper train.",
            )
        if gate.on_inconclusive == "extend":
            raise RecipeError(
                "Nova models are judged in one look.",
                where=f"gates.{i}.on_inconclusive",
                fix="use block or warn.",
            )


def identity(backend: NovaBackend, model: str | None) -> str:
    """Return what stands for a Nova model's weights, which can't be seen."""
    return digest_of(["nova", backend.model, backend.model_version, model])


def evaluated_by_nova(
    recipe: Recipe, data: Data, opened: Sequence[Opened], models: Sequence[str | None]
) -> list[list[SuiteScores]]:
    """Return every suite's scores for each model; all jobs are submitted before any is waited for.

    When that breaks off, the jobs that aren't done are stopped; not where AWS doesn't answer.

    Args:
        recipe: Its backend is Nova's.
        data: As prepared.
        opened: The suites that can be put.
        models: Address of each model; None for the base.
    """
    context = evaluation_context(recipe, data)
    asked = [[_asked(recipe, one, model) for one in opened] for model in models]
    with stopped_on_break() as running:
        names = [[_submitted(a, running) for a in row] for row in asked]
        return [
            [
                _scores(one, a, _waited(a, name, running), context)
                for one, a, name in zip(opened, row, named, strict=True)
            ]
            for row, named in zip(asked, names, strict=True)
        ]


def _submitted(asked: NovaAsked, running: Running) -> str:
    name: str = once(submit_nova_evaluation, asked)
    running[name] = NovaEvaluation(asked)
    return name


def _waited(asked: NovaAsked, name: str, running: Running) -> NovaFound:
    found: NovaFound = once(wait_for_nova_evaluation, asked, name)
    running.pop(name, None)
    return found


def planned_evaluations(recipe: Recipe, data: Data) -> list[dict[str, Any]]:
    """Return exactly what would be sent for the base model; nothing is uploaded or asked."""
    return [
        {"suite": one[0].name, **NovaEvaluation(_asked(recipe, one, None)).planned()}
        for one in asking(recipe, data).opened
    ]


def _asked(recipe: Recipe, one: Opened, model: str | None) -> NovaAsked:
    suite, backend = one[0], recipe.training.backend
    assert isinstance(backend, NovaBackend)
    if isinstance(suite, NovaBenchmarkSuite):
        return NovaAsked(
            name=suite.name,
            model=model,
            backend=backend,
            task=suite.task,
            max_new_tokens=suite.max_new_tokens,
            subtask=suite.subtask,
        )
    file, tokens = _file_of(one)
    return NovaAsked(
        name=suite.name, model=model, backend=backend, task=OWN, max_new_tokens=tokens, data=file
    )


def _file_of(one: Opened) -> tuple[OwnFile | None, int]:
    """Return a suite's prompts as the evaluator reads them, and an answer's tokens at the most."""
    from tasks.evaluation.suites.nova_benchmark import asked_by

    suite, exam = one
    if isinstance(suite, NovaBenchmarkSuite):
        return None, suite.max_new_tokens
    where = f"evaluation.suites.{suite.name}"
    noted = asked_by(exam, where)
    text = own_items(_item(d, prompt, where) for d, prompt in sorted(noted.prompts.items()))
    digest = digest_of(text)
    path = home("exports", digest[:32], OWN_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return OwnFile(digest=digest, path=path, items=len(noted.prompts)), noted.max_new_tokens


def _item(digest: str, prompt: Prompt, where: str) -> OwnItem:
    turns = [m for m in prompt.messages if m["role"] != "system"]
    system = "\n\n".join(m["content"] for m in prompt.messages if m["role"] == "system")
    if prompt.tools or [m["role"] for m in turns] != ["user"]:
        raise EvaluationError(
            "Nova's evaluator takes one question with a system text, and the "
            "suite asks with tools or several turns.",
            where=where,
            fix="take the suite out for Nova.",
        )
    # Ours scores the answers; the evaluator only wants to have something to compare with.
    return OwnItem(turns[0]["content"], "-", system or None, digest)


def _scores(one: Opened, asked: NovaAsked, found: NovaFound, context: EvalContext) -> SuiteScores:
    from tasks.evaluation.stage import evaluate_exam
    from tasks.evaluation.suites.nova_benchmark import benchmark_scores, read_outputs, read_results
    from tasks.models.served.replayed import Replayed

    weights = identity(asked.backend, asked.model)
    made = {
        "model": weights,
        "served": asked.model or asked.backend.model,
        "job": found.job,
        "backend": "nova",
        "asked": asked.asked(),
    }
    if isinstance(one[0], NovaBenchmarkSuite):
        return benchmark_scores(one[0], read_results(found.results), weights, made)
    assert found.outputs is not None
    said = {o.metadata: o.prediction for o in read_outputs(found.outputs)}
    engine = Replayed(digest_of([asked.key, found.job]), said, made)
    return evaluate_exam(one, (engine, weights), context)
