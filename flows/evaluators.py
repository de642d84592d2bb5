"""Who puts a recipe's suites to base and candidate: this machine, or the service with the weights.

Both are driven in the same steps: ``refuse_gates`` before anything is paid for, ``ask`` for each
model as soon as it is there, ``collect``, and ``judge``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

from configs.evaluation import Suite
from configs.gates import FloorGate
from configs.nova import NovaBackend
from configs.recipe import Recipe
from configs.suites.nova_benchmark import NovaBenchmarkSuite
from flows.evaluate import ScoredModel, evaluate_gates, score_model
from flows.pipeline import Data, make_context
from flows.report import find_champion_report
from flows.run_task import run_task
from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError, RecipeError
from tasks.evaluation.items import EvalContext, SuiteRunner
from tasks.evaluation.registry import open_suite
from tasks.evaluation.stage import score_suite
from tasks.evaluation.suites.nova_benchmark import (
    benchmark_scores,
    read_outputs,
    read_results,
    record_suite_prompts,
)
from tasks.gates.stage import References
from tasks.gates.task import judge_gates
from tasks.models.api import Prompt
from tasks.models.served.replayed import Replayed
from tasks.scores import GateResult, SuiteScores
from tasks.storage import digest_of, home, write_text
from tasks.training.backends.base import stop_on_break
from tasks.training.backends.nova.evaluation_jobs import EvaluationResult, NovaEvaluation
from tasks.training.backends.nova.evaluation_request import (
    OWN,
    OWN_FILE,
    EvaluationRequest,
    OwnFile,
    OwnItem,
    own_items,
)
from tasks.training.backends.nova.job import identity
from tasks.training.backends.nova.task import submit_nova_evaluation, wait_for_nova_evaluation

Arm = Literal["base", "candidate"]
Track = Callable[[Arm, list[SuiteScores]], object]
Opened = tuple[Suite, SuiteRunner]


class Evaluator(ABC):
    """Puts a recipe's suites to its base and its candidate, and judges the candidate's gates.

    Args:
        recipe: Its suites and gates.
        data: As prepared.
        track: Told the scores of each model as soon as they are there.
    """

    def __init__(self, recipe: Recipe, data: Data, track: Track | None = None) -> None:
        self.recipe, self.data, self._track = recipe, data, track
        self._models: dict[Arm, LocalModel] = {}
        self._scores: dict[Arm, list[SuiteScores]] = {}

    @abstractmethod
    def refuse_gates(self) -> None:
        """Refuse gates that can't be judged, before anything is paid for.

        Raises:
            RecipeError: Naming the gate.
        """

    @abstractmethod
    def plan(self) -> dict[str, Any]:
        """Return what would be sent to a service for the base; nothing is sent."""

    @abstractmethod
    def ask(self, arm: Arm, model: LocalModel) -> None:
        """Put the suites to a model now, or when all scores are collected."""

    @abstractmethod
    def collect(self) -> tuple[ScoredModel, ScoredModel]:
        """Return base and candidate with their scores."""

    @abstractmethod
    def judge(self, base: ScoredModel, candidate: ScoredModel) -> list[GateResult]:
        """Return the outcome of every gate."""

    def _keep(self, arm: Arm, scores: list[SuiteScores]) -> None:
        self._scores[arm] = scores
        if self._track is not None:
            self._track(arm, scores)

    def _both(self) -> tuple[ScoredModel, ScoredModel]:
        base, candidate = (
            ScoredModel(self._models[arm], self._scores[arm]) for arm in ("base", "candidate")
        )
        return base, candidate


class LocalEvaluator(Evaluator):
    """This machine: a model is asked at once, so a suite that fails does so before training."""

    def refuse_gates(self) -> None:
        """Refuse nothing more: what the gates can tell was planned with the data."""

    def plan(self) -> dict[str, Any]:
        """Return nothing: no service is asked."""
        return {}

    def ask(self, arm: Arm, model: LocalModel) -> None:
        """Put the suites to a model now."""
        self._models[arm] = model
        self._keep(arm, score_model(self.recipe, self.data, model))

    def collect(self) -> tuple[ScoredModel, ScoredModel]:
        """Return base and candidate with their scores."""
        return self._both()

    def judge(self, base: ScoredModel, candidate: ScoredModel) -> list[GateResult]:
        """Return the outcome of every gate, after a second look where one is wanted."""
        return evaluate_gates(self.recipe, self.data, base, candidate, score_model)


class NovaEvaluator(Evaluator):
    """Nova's own evaluator: all its jobs are submitted before any is waited for.

    Args:
        recipe: Its backend is Nova's.
        data: As prepared.
        track: Told the scores of each model as soon as they are there.

    Raises:
        EvaluationError: A suite has no usable items, or its prompts can't be put there.
    """

    def __init__(self, recipe: Recipe, data: Data, track: Track | None = None) -> None:
        super().__init__(recipe, data, track)
        context = make_context(recipe, data)
        suites = [(suite, open_suite(suite, context)) for suite in recipe.evaluation.suites]
        self.opened = [one for one in suites if one[1].needs == "answers"]
        self.left_out = [suite.name for suite, runner in suites if runner.needs != "answers"]
        for one in self.opened:
            write_questions(one)

    def refuse_gates(self) -> None:
        """Refuse gates that a Nova model can't be judged by.

        Raises:
            RecipeError: A gate rests on a suite that can't be put, or wants a second look.
        """
        for i, gate in enumerate(self.recipe.gates):
            if gate.metric.partition("/")[0] in self.left_out:
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

    def plan(self) -> dict[str, Any]:
        """Return exactly what would be sent for the base; nothing is uploaded or asked."""
        found = []
        for one in self.opened:
            asked = make_question(self.recipe, one, None)
            found.append({"suite": asked.name, **NovaEvaluation(asked).plan()})
        return {"evaluations": found}

    def ask(self, arm: Arm, model: LocalModel) -> None:
        """Note a model, to be asked beside the others."""
        self._models[arm] = model

    def collect(self) -> tuple[ScoredModel, ScoredModel]:
        """Return base and candidate with their scores; the base is Nova's own model."""
        addresses = {arm: None if arm == "base" else m.name for arm, m in self._models.items()}
        scores = score_nova_models(self.recipe, self.data, self.opened, list(addresses.values()))
        for arm, found in zip(addresses, scores, strict=True):
            self._keep(arm, found)
        return self._both()

    def judge(self, base: ScoredModel, candidate: ScoredModel) -> list[GateResult]:
        """Return the outcome of every gate.

        The original is the base, which is Nova's own model; the champion's scores are those of its
        own run.
        """
        named = {g.against for g in self.recipe.gates if not isinstance(g, FloorGate)}
        name = self.recipe.registered_name
        champion = find_champion_report(name) if "champion" in named else None
        scores = list(champion.candidate_scores) if champion else None
        references = References(base.scores, None, scores)
        return run_task(judge_gates, self.recipe.gates, references, candidate.scores)


def open_evaluator(recipe: Recipe, data: Data, track: Track | None = None) -> Evaluator:
    """Return who evaluates the models that the recipe's backend trains."""
    if isinstance(recipe.training.backend, NovaBackend):
        return NovaEvaluator(recipe, data, track)
    return LocalEvaluator(recipe, data, track)


def score_nova_models(
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
    context = make_context(recipe, data)
    questions = [[make_question(recipe, one, model) for one in opened] for model in models]
    with stop_on_break() as running:
        names: list[list[str]] = []
        for row in questions:
            names.append([])
            for asked in row:
                name = run_task(submit_nova_evaluation, asked)
                running[name] = partial(NovaEvaluation(asked).stop, name)
                names[-1].append(name)
        scores: list[list[SuiteScores]] = []
        for row, submitted in zip(questions, names, strict=True):
            scores.append([])
            for one, asked, name in zip(opened, row, submitted, strict=True):
                found = run_task(wait_for_nova_evaluation, asked, name)
                running.pop(name, None)
                scores[-1].append(read_scores(one, asked, found, context))
        return scores


def make_question(recipe: Recipe, one: Opened, model: str | None) -> EvaluationRequest:
    """Return what the evaluator is asked for a suite of one model."""
    suite, backend = one[0], recipe.training.backend
    assert isinstance(backend, NovaBackend)
    if isinstance(suite, NovaBenchmarkSuite):
        return EvaluationRequest(
            name=suite.name,
            model=model,
            backend=backend,
            task=suite.task,
            max_new_tokens=suite.max_new_tokens,
            subtask=suite.subtask,
        )
    file, tokens = write_questions(one)
    return EvaluationRequest(
        name=suite.name, model=model, backend=backend, task=OWN, max_new_tokens=tokens, data=file
    )


def write_questions(one: Opened) -> tuple[OwnFile | None, int]:
    """Return a suite's prompts as the evaluator reads them, and an answer's tokens at the most."""
    suite, runner = one
    if isinstance(suite, NovaBenchmarkSuite):
        return None, suite.max_new_tokens
    where = f"evaluation.suites.{suite.name}"
    noted = record_suite_prompts(runner, where)
    text = own_items(_make_item(d, prompt, where) for d, prompt in sorted(noted.prompts.items()))
    digest = digest_of(text)
    path = home("exports", digest[:32], OWN_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return OwnFile(digest=digest, path=path, items=len(noted.prompts)), noted.max_new_tokens


def _make_item(digest: str, prompt: Prompt, where: str) -> OwnItem:
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


def read_scores(
    one: Opened, asked: EvaluationRequest, found: EvaluationResult, context: EvalContext
) -> SuiteScores:
    """Return a suite's scores of what the evaluator left: its metrics, or ours of the answers."""
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
    answers = {o.metadata: o.prediction for o in read_outputs(found.outputs)}
    engine = Replayed(digest_of([asked.key, found.job]), answers, made)
    return score_suite(one, (engine, weights), context)
