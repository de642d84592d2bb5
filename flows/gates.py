"""Gates around the pipeline: what they can tell beforehand, whom they name, and a second look."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from configs.evaluation import Suite
from configs.gates import FloorGate, Gate, multiply_item_limits
from configs.recipe import Recipe
from flows.calling import once
from flows.data import Data, evaluation_context
from tasks.artifacts import LocalModel
from tasks.errors import DataError
from tasks.scores import GateResult, SuiteScores

Scored = Callable[[Recipe, Data, LocalModel], list[SuiteScores]]


def planned_gates(recipe: Recipe, data: Data) -> tuple[Any, ...]:
    """Return what each gate can tell on the items its metric will be over.

    Raises:
        RecipeError: A margin can't be shown by so many items.
    """
    from tasks.gates.planning import plan_gate, refuse_unresolved

    suites = [_suite_of(recipe, gate) for gate in recipe.gates]
    # Several gates may rest on one suite, and opening it reads its data.
    counts = {
        key: _items(recipe, data, suite)
        for key, suite in {s.model_dump_json(): s for s in suites}.items()
    }
    plans = []
    for gate, suite in zip(recipe.gates, suites, strict=True):
        name = gate.metric.partition("/")[2]
        n = counts[suite.model_dump_json()](name)
        plans.append(plan_gate(gate, suite.metric_table()[name], n))
    refuse_unresolved(tuple(plans))
    return tuple(plans)


def references(recipe: Recipe, data: Data, base: list[SuiteScores], scored: Scored) -> Any:
    """Return the scores of every model that a gate names; those that none names aren't asked."""
    from tasks.gates.judge import References

    named = {g.against for g in recipe.gates if not isinstance(g, FloorGate)}
    original = _original(recipe) if "original" in named else None
    champion = _champion(recipe) if "champion" in named else None
    return References(
        base,
        scored(recipe, data, original) if original else None,
        scored(recipe, data, champion) if champion else None,
    )


def judged(
    recipe: Recipe, data: Data, models: tuple[LocalModel, LocalModel], scores: Any, scored: Scored
) -> list[GateResult]:
    """Return the outcome of every gate, ``extend`` gates that can't be told after a second look.

    Args:
        recipe: Its gates.
        data: As prepared.
        models: Base and candidate.
        scores: References and the candidate's scores, from the recipe's own suites.
        scored: What puts a recipe's suites to a model.
    """
    from tasks.gates.task import judge_gates

    known, candidate = scores
    results: list[GateResult] = once(judge_gates, recipe.gates, known, candidate)
    again = {
        i: r for i, r in enumerate(results) if r.verdict == "INCONCLUSIVE" and r.policy == "extend"
    }
    if not again:
        return results
    wider = widened_recipe(recipe, [recipe.gates[i] for i in again])
    base = scored(wider, data, models[0])
    known = references(wider, data, base, scored)
    candidate = scored(wider, data, models[1])
    second = once(judge_gates, wider.gates, known, candidate, tuple(again.values()))
    for i, result in zip(again, second, strict=True):
        results[i] = result
    return results


def sliced(
    recipe: Recipe, base: list[SuiteScores], candidate: list[SuiteScores]
) -> tuple[dict[str, Any], ...]:
    """Return the slices of every suite, for the scorecard."""
    from tasks.gates.pairing import pairs
    from tasks.gates.slices import slices

    both = pairs([s for s in base if not s.aggregate], candidate)
    found = slices(both, [g.metric for g in recipe.gates])
    return tuple(s.model_dump(mode="json") for s in found)


def widened_recipe(recipe: Recipe, gates: Sequence[Gate]) -> Recipe:
    """Return the recipe with the gates' suites alone, each asking as many items as they want."""
    times = {
        name: max(g.extend_times for g in gates if g.metric.startswith(f"{name}/"))
        for name in {g.metric.partition("/")[0] for g in gates}
    }
    suites = tuple(multiply_item_limits(recipe.suite(name), n) for name, n in sorted(times.items()))
    evaluation = recipe.evaluation.model_copy(update={"suites": suites})
    return recipe.model_copy(update={"evaluation": evaluation, "gates": tuple(gates)})


def _suite_of(recipe: Recipe, gate: Gate) -> Suite:
    suite = recipe.suite(gate.metric.partition("/")[0])
    return (
        multiply_item_limits(suite, gate.extend_times)
        if gate.on_inconclusive == "extend"
        else suite
    )


def _items(recipe: Recipe, data: Data, suite: Suite) -> Callable[[str], int]:
    """Return what tells, of an opened suite, how many items each metric is over."""
    from tasks.evaluation.items import items_of
    from tasks.evaluation.registry import open_exam

    return partial(items_of, open_exam(suite, evaluation_context(recipe, data)))


def _original(recipe: Recipe) -> LocalModel | None:
    from tasks.ingest.task import fetch_model

    spec = recipe.references.original
    return once(fetch_model, spec, True) if spec else None


def _champion(recipe: Recipe) -> LocalModel | None:
    """Return the checkpoint that the registered model's alias champion stands for.

    Raises:
        DataError: There is a champion, and its run or its weights aren't on this machine.
    """
    from flows.report import champion_report

    report = champion_report(recipe.registered_name)
    if report is None:
        return None
    if not (report.trained.has_weights and report.trained.path.is_dir()):
        raise DataError(
            f"the weights of the champion of '{recipe.registered_name}' aren't here.",
            where=str(report.trained.path),
            fix=f"train run {report.run_id[:12]}'s recipe again, or promote another run.",
        )
    return report.trained
