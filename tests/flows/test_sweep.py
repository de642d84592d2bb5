"""Sweeps of the tiny recipe, on one Prefect server."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
from configs.errors import RecipeError  # noqa: E402
from configs.loading import load_recipe  # noqa: E402
from configs.recipe import Recipe  # noqa: E402
from configs.sweep import Sweep  # noqa: E402

pytestmark = pytest.mark.slow
# A margin that nothing misses, and dev rows to choose on.
SETTINGS = (
    "sources.reviews.split={dev: 0.3, test: 0.3}",
    "gates=[{metric: reviews/micro_f1, rule: improve}, "
    "{metric: mmlu/letter_mass, rule: floor, at: 0.0}]",
)
RATE = "training.learning_rate"
ARMS = Sweep(domain_share=(0.5,), vary={RATE: (1e-3, 1e30)})


@pytest.fixture(scope="module")
def recipe(tiny_recipe: Path) -> Recipe:
    return load_recipe(tiny_recipe, SETTINGS)


@pytest.fixture(scope="module")
def report(flow_home: Path, recipe: Recipe) -> Any:
    """The first sweep: a rate that works and one that doesn't."""
    from flows.sweep import sweep

    return sweep(recipe, ARMS)


def test_every_arm_has_an_outcome_and_those_that_fail_stop_no_other(report: Any) -> None:
    works, fails = report.card.outcomes
    assert (works.settings[RATE], works.state) == (1e-3, "done")
    assert (fails.settings[RATE], fails.state) == (1e30, "failed")
    assert "loss" in fails.reason
    assert [line.arm for line in report.card.lines] == ["share 0.5, learning_rate 0.001"]


def test_page_record_and_recipe_lie_together_and_the_recipe_runs(report: Any) -> None:
    assert report.page.is_file()
    assert (report.page.parent / "sweep.json").is_file()
    if report.card.recommendation.arm is None:
        assert report.verdict in ("FAIL", "INCONCLUSIVE")
        assert report.recommended is None
    else:
        final = load_recipe(str(report.recommended))
        assert final.evaluation.split == "test"
        assert report.verdict == report.confirmation.verdict


def test_arms_stand_below_the_sweep_in_mlflow(report: Any, flow_home: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{flow_home / 'mlflow.db'}")
    parent = client.get_run(report.run_id)
    assert parent.data.tags["temper.kind"] == "sweep"
    below = client.search_runs(
        [parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{report.run_id}'"
    )
    done = {o.run_id for o in report.card.outcomes if o.state == "done"}
    assert done <= {run.info.run_id for run in below}
    files = {f.path for f in client.list_artifacts(report.run_id)}
    assert {"sweep.html", "sweep.json"} <= files


def test_arms_side_by_side_share_what_was_made_and_alpha_trains_nothing(
    report: Any, flow_home: Path, recipe: Recipe
) -> None:
    from flows.sweep import sweep

    def trained() -> set[str]:
        return {p.name for p in (flow_home / "jobs").iterdir()}

    before = trained()
    arms = Sweep(domain_share=(0.5,), alpha=(0.5, 1.0), parallel=2)
    found = sweep(recipe, arms, confirm=False)
    assert trained() == before
    assert found.confirmation is None
    assert found.card.shared["mixtures"] == (1, 2)
    assert found.card.shared["scores of the base"] == (2, 4)
    half, whole = found.card.outcomes
    assert (half.alpha, whole.alpha) == (0.5, 1.0)
    assert [o.tokens > 0 for o in (half, whole)] == [True, False]
    (first,) = report.card.lines
    again = found.card.lines[1]
    assert (again.domain, again.retention, again.holds) == (
        first.domain,
        first.retention,
        first.holds,
    )


def test_a_limit_stops_before_it_is_passed(report: Any, recipe: Recipe) -> None:
    from flows.sweep import sweep

    tokens = next(o.tokens for o in report.card.outcomes if o.tokens)
    found = sweep(recipe, Sweep(domain_share=(0.5, 0.4), max_tokens=tokens), confirm=False)
    assert [o.state for o in found.card.outcomes] == ["done", "left out"]
    assert f"max_tokens: {tokens:,}" in found.card.outcomes[1].reason
    assert sum(o.tokens for o in found.card.outcomes) <= tokens


def test_a_recipe_whose_gates_say_nothing_of_what_must_hold_is_refused(recipe: Recipe) -> None:
    from flows.sweep import refuse_unjudged

    bare = recipe.model_copy(update={"gates": recipe.gates[:1]})
    with pytest.raises(RecipeError, match="must hold"):
        refuse_unjudged(bare)
