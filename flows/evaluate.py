"""Evaluation: any model by a recipe's suites, and a candidate by its gates."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow

from configs.chat import ChatSettings
from configs.gates import FloorGate, Gate, multiply_item_limit
from configs.loading import find_served, load_recipe
from configs.models import AdaptedModel, Model, Served, VllmModel
from configs.nova import NovaBackend
from configs.recipe import Recipe
from flows.pipeline import Data, check_sources, make_context, refuse_blocked
from flows.report import find_champion_report
from flows.run_task import run_task
from tasks.artifacts import LocalModel
from tasks.errors import DataError
from tasks.evaluation.items import EvalContext
from tasks.evaluation.task import evaluate_suite
from tasks.gates.pairing import pairs
from tasks.gates.slices import slices
from tasks.gates.stage import References
from tasks.gates.task import judge_gates, note_looks
from tasks.ingest.task import fetch_model
from tasks.models.adapters import load_adapted
from tasks.models.factory import Evaluated
from tasks.models.local.loading import forget_model
from tasks.models.served.vllm import on_vllm
from tasks.scores import GateResult, SuiteScores

NO_SETTINGS = ChatSettings()
Score = Callable[[Recipe, Data, LocalModel], list[SuiteScores]]
"""Puts a recipe's suites to a model."""


@dataclass(frozen=True)
class ScoredModel:
    """A model and its scores on the recipe's own suites."""

    model: LocalModel
    scores: list[SuiteScores]


@flow(name="evaluate", persist_result=True)
def evaluate(recipe: Recipe | str, model: str | None = None) -> list[SuiteScores]:
    """Run a recipe's suites on a model, or on its base model.

    Args:
        recipe: The recipe itself, the name of a shipped one, or the path of a YAML file.
        model: A model folder; or a served or adapted model as a YAML file or inline mapping
            (``{kind: endpoint, url: ..., name: ..., key_env: ...}``).
    """
    return evaluate_model(load_recipe(recipe), model)


def evaluate_model(recipe: Recipe, model: str | None) -> list[SuiteScores]:
    """Return the scores of a model; inside a flow the steps are Prefect tasks."""
    section = parse_model(model, recipe.model.chat) if model else recipe.model
    clean = check_sources(recipe)
    refuse_blocked(clean)
    chosen = recipe.evaluation
    context = EvalContext(chosen.split, recipe.split_seed, chosen.dtype, {c.name: c for c in clean})
    scores = _score(recipe, context, prepare_model(section, recipe.model.chat))
    if chosen.split == "test" and model is not None:
        run_task(note_looks, recipe.family, "evaluate", scores)
    return scores


def parse_model(model: str, chat: ChatSettings = NO_SETTINGS) -> Model | Served:
    """Return the section that a model's name on the command line means.

    Args:
        model: A folder, a YAML file or an inline mapping.
        chat: What a folder's chat template is given.
    """
    return find_served(model) or Model(path=str(Path(model).resolve()), **dict(chat))


def prepare_model(section: Model | Served, chat: ChatSettings = NO_SETTINGS) -> Evaluated:
    """Return a model that can be evaluated: its folder on this machine, or where it is served.

    Args:
        section: What names it.
        chat: What the chat template of a base with an adapter, or of one for vLLM, is given.
    """
    match section:
        case Model():
            return run_task(fetch_model, section, True)
        case AdaptedModel():
            base = run_task(fetch_model, _make_base(section, chat), True)
            return load_adapted(base, Path(section.adapter).expanduser(), section.alpha)
        case VllmModel():
            base = run_task(fetch_model, _make_base(section, chat), True)
            return on_vllm(base, section)
        case _:
            return section


def _make_base(section: AdaptedModel | VllmModel, chat: ChatSettings) -> Model:
    return Model(path=section.path, revision=section.revision, **dict(chat))


def score_model(recipe: Recipe, data: Data, model: Evaluated) -> list[SuiteScores]:
    """Return every suite's scores of one model, one suite after the other."""
    return _score(recipe, make_context(recipe, data), model)


def _score(recipe: Recipe, context: EvalContext, model: Evaluated) -> list[SuiteScores]:
    suites = recipe.evaluation.suites
    try:
        return [run_task(evaluate_suite, suite, model, context) for suite in suites]
    finally:
        # One model serves all suites, and none stays when they are through.
        forget_model()


def evaluate_gates(
    recipe: Recipe, data: Data, base: ScoredModel, candidate: ScoredModel, score: Score
) -> list[GateResult]:
    """Return the outcome of every gate, ``extend`` gates that can't be told after a second look.

    Args:
        recipe: Its gates.
        data: As prepared.
        base: What training started from.
        candidate: What is judged.
        score: What puts a recipe's suites to a model.
    """
    references = score_references(recipe, data, base.scores, score)
    results = run_task(judge_gates, recipe.gates, references, candidate.scores)
    again = {
        i: r for i, r in enumerate(results) if r.verdict == "INCONCLUSIVE" and r.policy == "extend"
    }
    if not again:
        return results
    wider = widen_recipe(recipe, [recipe.gates[i] for i in again])
    references = score_references(wider, data, score(wider, data, base.model), score)
    scores = score(wider, data, candidate.model)
    second = run_task(judge_gates, wider.gates, references, scores, tuple(again.values()))
    for i, result in zip(again, second, strict=True):
        results[i] = result
    return results


def score_references(
    recipe: Recipe, data: Data, base: list[SuiteScores], score: Score
) -> References:
    """Return the scores of every model that a gate names; those that none names aren't asked."""
    named = {g.against for g in recipe.gates if not isinstance(g, FloorGate)}
    original = fetch_original(recipe) if "original" in named else None
    champion = find_champion(recipe) if "champion" in named else None
    return References(
        base,
        score(recipe, data, original) if original else None,
        score(recipe, data, champion) if champion else None,
    )


def fetch_original(recipe: Recipe) -> LocalModel | None:
    """Return the model that the recipe names as the original; None where it names none."""
    section = recipe.references.original
    return run_task(fetch_model, section, True) if section else None


def refuse_absent_champion(recipe: Recipe) -> None:
    """Refuse to begin where a gate compares with a champion whose weights aren't here.

    Raises:
        DataError: Naming the champion's run.
    """
    named = {g.against for g in recipe.gates if not isinstance(g, FloorGate)}
    if "champion" in named and not isinstance(recipe.training.backend, NovaBackend):
        find_champion(recipe)


def find_champion(recipe: Recipe) -> LocalModel | None:
    """Return the checkpoint that the registered model's alias champion stands for.

    Raises:
        DataError: There is a champion, and its run or its weights aren't on this machine.
    """
    report = find_champion_report(recipe.registered_name)
    if report is None:
        return None
    if not (report.trained.has_weights and report.trained.path.is_dir()):
        raise DataError(
            f"the weights of the champion of '{recipe.registered_name}' aren't here.",
            where=str(report.trained.path),
            fix=f"train run {report.run_id[:12]}'s recipe again, or promote another run.",
        )
    return report.trained


def widen_recipe(recipe: Recipe, gates: Sequence[Gate]) -> Recipe:
    """Return the recipe with the gates' suites alone, each asking as many items as they want."""
    times = {
        name: max(g.extend_times for g in gates if g.metric.startswith(f"{name}/"))
        for name in {g.metric.partition("/")[0] for g in gates}
    }
    suites = tuple(multiply_item_limit(recipe.suite(name), n) for name, n in sorted(times.items()))
    evaluation = recipe.evaluation.model_copy(update={"suites": suites})
    return recipe.model_copy(update={"evaluation": evaluation, "gates": tuple(gates)})


def find_slices(
    recipe: Recipe, base: list[SuiteScores], candidate: list[SuiteScores]
) -> tuple[dict[str, Any], ...]:
    """Return the slices of every suite, for the scorecard."""
    both = pairs([s for s in base if not s.aggregate], candidate)
    found = slices(both, [g.metric for g in recipe.gates])
    return tuple(s.model_dump(mode="json") for s in found)
