"""A sweep: arms of one recipe side by side, one recommended, and that one confirmed."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict

from configs.loading import load_recipe, recipe_text
from configs.recipe import Recipe
from configs.sweep import Sweep
from flows.evaluate import score_model
from flows.finetune import specialise, track_run
from flows.pipeline import keeps_weights, plan_recipe, prepare_data
from flows.report import RunReport, find_report
from flows.run_task import run_flow, run_task
from flows.runner import task_runner
from tasks.errors import RecipeError, TemperError
from tasks.scores import SuiteScores
from tasks.storage import home, write_text
from tasks.sweep.arms import ALPHA, Arm, confirm_recipe, list_arms
from tasks.sweep.choice import Outcome, line_up, recommend, shared_counts
from tasks.sweep.page import SweepCard, write_sweep_page
from tasks.tracking import task as track
from tasks.tracking.scorecard.card import Axis, arm_of, axes, read_lock

RECOMMENDED = "recommended.yaml"


class SweepReport(BaseModel):
    """One finished sweep; kept in ``sweeps/<run_id>/``.

    Attributes:
        card: Everything it found.
        page: The page that shows it.
        recommended: The recommended arm's recipe, ready to run; None where none is.
        confirmation: The report of that recipe on test items; None where it was not confirmed.
        verdict: Of the confirmation; where no arm is recommended FAIL, or INCONCLUSIVE where some
            arm was only not shown to hold; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    card: SweepCard
    page: Path
    recommended: Path | None
    confirmation: RunReport | None
    verdict: str


def _name_sweep() -> str:
    recipe: Any = flow_run.parameters["recipe"]
    if isinstance(recipe, str):
        return f"sweep of {recipe.rsplit('/', 1)[-1]}"
    return f"sweep of {recipe['name'] if isinstance(recipe, dict) else recipe.name}"


@flow(name="sweep", flow_run_name=_name_sweep, persist_result=True, task_runner=task_runner())
def sweep(recipe: Recipe | str, arms: Sweep | None = None, confirm: bool = True) -> SweepReport:
    """Run a recipe's arms, recommend one, and confirm it on test items.

    Args:
        recipe: The recipe itself, the name of a shipped one, or the path of a YAML file.
        arms: What varies; the recipe's section ``sweep`` when absent.
        confirm: Whether the recommended arm is judged once on test items.

    Raises:
        RecipeError: Nothing varies, no gate says what must hold, or the dev items can't show it.
    """
    recipe = load_recipe(recipe)
    section = arms or recipe.sweep
    if section is None:
        raise RecipeError(
            "the recipe has no section sweep, and nothing else says what varies.",
            where="sweep",
            fix="add sweep: {domain_share: [1.0, 0.75, 0.5]}, or give --domain-share 1.0,0.75,0.5.",
        )
    listed = list_arms(recipe, section)
    refuse_unjudged(recipe)
    with track_run(recipe) as run_id:
        base, drawn = prepare_shared(listed)
        outcomes = run_arms(listed, section, run_id)
        return conclude(recipe, listed, outcomes, base, drawn, run_id, confirm)


@flow(
    name="arm",
    flow_run_name="{arm.name}, seed {arm.seed}",
    persist_result=True,
    task_runner=task_runner(),
)
def run_arm(arm: Arm, parent: str) -> RunReport:
    """Run one arm of a sweep.

    Args:
        arm: The arm.
        parent: The sweep's MLflow run.
    """
    with track_run(arm.recipe, parent) as run_id:
        return specialise(arm.recipe, run_id)


@flow(name="confirm", persist_result=True, task_runner=task_runner())
def confirm_arm(recipe: Recipe, parent: str) -> RunReport:
    """Judge the recommended arm on test items: nothing is trained again.

    Args:
        recipe: The arm's recipe as it will be run for good.
        parent: The sweep's MLflow run.
    """
    with track_run(recipe, parent) as run_id:
        return specialise(recipe, run_id)


def refuse_unjudged(recipe: Recipe) -> None:
    """Raise RecipeError where no gate says what an arm must hold."""
    if all(g.rule == "improve" for g in recipe.gates):
        raise RecipeError(
            "no gate says what an arm must hold, so that every arm would do.",
            where="gates",
            fix="add one with rule: hold on a general metric, for example "
            "{metric: SUITE/bits_per_byte, rule: hold, margin: 0.1}.",
        )


def prepare_shared(arms: Sequence[Arm]) -> tuple[list[SuiteScores], tuple[Axis, Axis]]:
    """Make what all arms share, before any of them: data, and the base's scores on dev items.

    Returns:
        The base's scores, and the general and the domain metric.

    Raises:
        RecipeError: The dev items can't show what the gates ask, or there is no domain metric.
    """
    widest = min(arms, key=lambda arm: arm.domain_share).recipe
    try:
        data = prepare_data(widest)
    except RecipeError as error:
        raise RecipeError(
            f"on dev items, {error.message}",
            where=error.where,
            fix=f"{error.fix} Arms are chosen on dev items: a larger share of dev rows "
            "(split: {dev: ...} of the suite's source, dev_path of the suite) helps, too.",
        ) from error
    base = [] if keeps_weights(widest) else score_model(widest, data, data.model)
    found = axes(widest, arm_of("base", base)) if base else None
    if found is None:
        raise RecipeError(
            "there is no pair of a domain and a general metric to choose by.",
            where="gates",
            fix="add a gate with rule: improve on the domain's suite and one with rule: hold on "
            "another suite; models that a service keeps can't be swept.",
        )
    return base, found


def run_arms(arms: Sequence[Arm], section: Sweep, parent: str) -> list[Outcome]:
    """Return what became of each arm, in their order; one that fails leaves the others alone."""
    tokens = count_tokens(arms) if section.max_tokens else {}
    left_out = choose_left_out(arms, tokens, section.max_tokens) if section.max_tokens else set()

    def run(i: int) -> Outcome:
        if _training_of(arms[i]) in left_out:
            reason = (
                f"its {tokens[_training_of(arms[i])]:,} tokens would pass max_tokens: "
                f"{section.max_tokens or 0:,}."
            )
            return _outcome(arms[i], state="left out", reason=reason)
        return try_arm(arms[i], parent)

    # What trains goes first: arms that differ in alpha alone find its weights.
    order = sorted(range(len(arms)), key=lambda i: (_training_of(arms[i]), -arms[i].alpha))
    if section.parallel == 1:
        found = {i: run(i) for i in order}
    else:
        # Each thread has this run's context, so that arms are its subflows.
        with ThreadPoolExecutor(section.parallel) as pool:
            futures = {i: pool.submit(copy_context().run, partial(run, i)) for i in order}
            found = {i: future.result() for i, future in futures.items()}
    return _count_once([found[i] for i in range(len(arms))], arms)


def try_arm(arm: Arm, parent: str) -> Outcome:
    """Return what became of an arm: its scores, or why it has none."""
    began = time.monotonic()
    try:
        report = run_flow(run_arm, arm, parent)
    except Exception as error:  # whatever it is, the other arms go on and this one is shown
        told = error.paragraph() if isinstance(error, TemperError) else repr(error)
        return _outcome(arm, state="failed", reason=told, seconds=time.monotonic() - began)
    return _outcome(
        arm,
        run_id=report.run_id,
        scores=report.candidate_scores,
        gates=report.gates,
        tokens=report.mixture.tokens,
        seconds=time.monotonic() - began,
    )


def count_tokens(arms: Sequence[Arm]) -> dict[str, int]:
    """Return the tokens that each training takes; arms that differ in alpha alone share one."""
    tokens = dict[str, int]()
    for arm in arms:
        training = _training_of(arm)
        if training not in tokens:
            tokens[training] = sum(s.tokens for s in plan_recipe(arm.recipe).sources)
    return tokens


def choose_left_out(arms: Sequence[Arm], tokens: Mapping[str, int], most: int) -> set[str]:
    """Return the trainings that would pass the limit, taken in the arms' order."""
    left_out, spent = set[str](), 0
    for training in dict.fromkeys(map(_training_of, arms)):
        if spent + tokens[training] > most:
            left_out.add(training)
        else:
            spent += tokens[training]
    return left_out


def conclude(
    recipe: Recipe,
    arms: Sequence[Arm],
    outcomes: Sequence[Outcome],
    base: Sequence[SuiteScores],
    drawn: tuple[Axis, Axis],
    run_id: str,
    confirm: bool,
) -> SweepReport:
    """Recommend an arm, confirm it, and write page, record and recipe."""
    general, domain = drawn
    lines = line_up(outcomes, domain.metric, general.metric)
    found = recommend(lines, domain.higher_is_better)
    chosen = next((a for a in arms if a.name == found.arm), None)
    folder, report, verdict = home("sweeps", run_id), None, ""
    if chosen is None:
        open_ = any(line.holds == "INCONCLUSIVE" for line in lines)
        verdict = "INCONCLUSIVE" if open_ else "FAIL"
    else:
        final = confirm_recipe(recipe, chosen)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RECOMMENDED, recipe_text(final))
        if confirm:
            report = run_flow(confirm_arm, final, run_id)
            verdict = report.verdict
    card = SweepCard(
        name=recipe.name,
        run_id=run_id,
        domain=domain.metric,
        retention=general.metric,
        higher=(domain.higher_is_better, general.higher_is_better),
        floor=general.floor,
        base=arm_of("base", base).metrics,
        lines=tuple(lines),
        outcomes=tuple(outcomes),
        recommendation=found,
        shared=count_shared(outcomes),
        confirmed=report.gates if report else (),
        confirmed_run=report.run_id if report else "",
        verdict=report.verdict if report else "",
    )
    page = write_sweep_page(card, folder)
    run_task(track.publish_sweep, run_id, verdict, folder)
    return SweepReport(
        run_id=run_id,
        card=card,
        page=page,
        recommended=folder / RECOMMENDED if chosen else None,
        confirmation=report,
        verdict=verdict,
    )


def count_shared(outcomes: Sequence[Outcome]) -> dict[str, tuple[int, int]]:
    """Return how many results of each kind were made, and how many arms they served."""
    reports = [find_report(o.run_id) for o in outcomes if o.state == "done"]
    locks = [read_lock(r.mixture) for r in reports]
    return shared_counts(
        {
            "sources, read and checked": [
                source["clean_digest"] for lock in locks for source in lock["sources"]
            ],
            "mixtures": [r.mixture.digest for r in reports],
            "scores of the base": [str(s.path) for r in reports for s in r.base_scores],
            "trained models": [r.trained.digest for r in reports],
        }
    )


def _training_of(arm: Arm) -> str:
    """Return what tells trainings apart: everything that varies but alpha."""
    return repr((sorted((k, v) for k, v in arm.settings.items() if k != ALPHA), arm.seed))


def _count_once(outcomes: list[Outcome], arms: Sequence[Arm]) -> list[Outcome]:
    """Return the outcomes with the tokens of each training counted for one arm alone."""
    seen, counted = set[str](), []
    for arm, outcome in zip(arms, outcomes, strict=True):
        training = _training_of(arm)
        known = outcome.state == "done" and training in seen
        counted.append(outcome.model_copy(update={"tokens": 0}) if known else outcome)
        if outcome.state == "done":
            seen.add(training)
    return counted


def _outcome(arm: Arm, **fields: Any) -> Outcome:
    return Outcome(
        arm=arm.name,
        settings=arm.settings,
        seed=arm.seed,
        domain_share=arm.domain_share,
        alpha=arm.alpha,
        **fields,
    )
