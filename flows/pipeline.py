"""From recipe to mixture: the data half of every flow, its plan, and what its gates can tell."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from configs.evaluation import Suite
from configs.gates import Gate, multiply_item_limit
from configs.quality import Quality
from configs.recipe import Recipe
from configs.settings import Settings
from configs.sources import RehearsalSource, Rewrite, StoredSource
from flows.run_task import map_task, map_task_over_pairs, run_task
from tasks.artifacts import CleanSource, LocalModel, MixtureReceipt, TokenizedSource
from tasks.errors import QualityBlocked, TemperError
from tasks.evaluation.items import EvalContext, count_classes, count_items
from tasks.evaluation.registry import open_suite, overlap_texts
from tasks.evaluation.stage import refuse_long_labels
from tasks.gates.planning import GatePlan, joint_chance, plan_gate, refuse_unresolved
from tasks.ingest.task import fetch_model, ingest_source
from tasks.locks import locked
from tasks.mixture.losses import refuse_losses
from tasks.mixture.shares import Supply, plan_quotas
from tasks.mixture.stage import mixture_key, split_blocks
from tasks.mixture.table import PlanTable, plan_table
from tasks.mixture.task import (
    finish_mixture,
    plan_mixture,
    show_plan,
    tokenise_source,
    write_shards,
)
from tasks.mixture.tokenize import RowFormat
from tasks.models.probe import SHAPES, probe_model, refuse_unfit
from tasks.models.special_tokens import read_special_tokens
from tasks.progress import report
from tasks.quality.overlap_count import count_overlap
from tasks.quality.task import check_quality, remove_duplicates
from tasks.self_data.rehearsal import SLACK, estimate_rehearsal
from tasks.self_data.summary import describe_plan
from tasks.self_data.task import generate_rehearsal, rewrite_targets
from tasks.storage import digest_of, home
from tasks.text.chat import load_tokenizer
from tasks.text.overlap import Item
from tasks.training.backends.base import open_backend
from tasks.training.backends.nova.mixing import own_part
from tasks.training.job_checks import check_base

Units = dict[str, int]


@dataclass(frozen=True)
class Data:
    """What the data stages made so far.

    Attributes:
        model: The base model on this machine.
        clean: Sources after quality, in the recipe's order.
        tokens: The same sources tokenised.
        needs: What each rehearsal source must give, in the mixture's unit.
        excluded: By suite, the items that training rows may not overlap with.
        gates: What each gate can tell on the items its suite will ask.
    """

    model: LocalModel
    clean: tuple[CleanSource, ...]
    tokens: tuple[TokenizedSource, ...] = ()
    needs: dict[str, int] = field(default_factory=dict)
    excluded: dict[str, list[str | Item]] = field(default_factory=dict)
    gates: tuple[GatePlan, ...] = ()

    def by_name(self) -> dict[str, CleanSource]:
        """Return the clean sources by name."""
        return {c.name: c for c in self.clean}


def check_sources(recipe: Recipe) -> tuple[CleanSource, ...]:
    """Ingest the stored sources and return their verdicts; blocks nothing by itself."""
    stored = [s for s in recipe.sources if isinstance(s, StoredSource)]
    snapshots = map_task(ingest_source, stored)
    pairs = zip(snapshots, stored, strict=True)
    tokens = find_control_tokens(recipe)
    return tuple(
        map_task_over_pairs(check_quality, pairs, recipe.quality, recipe.split_seed, tokens)
    )


def find_control_tokens(recipe: Recipe) -> tuple[str, ...]:
    """Return the control tokens of the base model; none where it isn't on this machine."""
    try:
        return read_special_tokens(fetch_model.fn(recipe.model, False).path)
    except TemperError:
        # Whoever needs the model says so by name.
        return ()


def compare_sources(recipe: Recipe, clean: Sequence[CleanSource]) -> tuple[CleanSource, ...]:
    """Return the sources without what others, or nearly other rows, say already."""
    own = {
        s.name: s.quality
        for s in recipe.sources
        if isinstance(s, StoredSource) and s.quality is not None
    }
    return run_task(remove_duplicates, clean, recipe.quality, (), own)


def count_overlaps(
    recipe: Recipe, clean: Sequence[CleanSource]
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Return source -> suite -> training rows that hold an item of it, and what can't be counted.

    These rows are left out of the mixture (``mixture.exclude_overlap_with``).
    """
    context = _make_context(recipe, clean)
    problems: list[str] = []
    found: dict[str, dict[str, int]] = {c.name: {} for c in clean}
    for name in recipe.mixture.exclude_overlap_with:
        try:
            items = overlap_texts(recipe.suite(name), context)
        except TemperError as error:
            problems.append(f"Overlap with '{name}' is not counted: {error.message}")
            continue
        for source in clean:
            found[source.name][name] = count_overlap(source.split("train"), items)
    return found, problems


def keeps_weights(recipe: Recipe) -> bool:
    """Return whether the recipe's backend keeps all weights to itself."""
    return open_backend(recipe.training.backend).keeps_weights


def refuse_blocked(clean: Sequence[CleanSource]) -> None:
    """Raise QualityBlocked for the first source whose verdict is ``block``."""
    for source in clean:
        if source.verdict == "block":
            raise QualityBlocked(
                source.reason,
                where=f"sources.{source.name}",
                fix=f"see {source.path / 'page.html'}, then mend the data or the quality section.",
            )


def prepare_stored_data(recipe: Recipe, *, weights: bool) -> Data:
    """Return model, clean and tokenised stored sources, and what rehearsal must give.

    Args:
        recipe: What to prepare.
        weights: Whether the base model's weights are fetched; targets are rewritten with them.
    """
    recipe = own_part(recipe)
    # Data first: a missing file is told in seconds, converting a model takes longer.
    clean = check_sources(recipe)
    refuse_blocked(clean)
    clean = compare_sources(recipe, clean)
    refuse_blocked(clean)
    data = Data(run_task(fetch_model, recipe.model, weights), clean)
    check_base(data.model, recipe.training)
    if not keeps_weights(recipe):
        refuse_unfit(data.model)
    refuse_unanswerable(recipe, data)
    data = replace(data, excluded=collect_exclusions(recipe, data), gates=plan_gates(recipe, data))
    tokens = map_task(
        tokenise_source,
        rewrite_sources(recipe, data) if weights else clean,
        data.model,
        recipe.training.sequence_length,
        data.excluded,
        make_row_format(recipe),
    )
    for one in tokens:
        _refuse_losses(recipe, one)
    return replace(data, tokens=tuple(tokens), needs=count_rehearsal_needs(recipe, tokens))


def prepare_data(recipe: Recipe) -> Data:
    """Return every source of the recipe tokenised, rehearsal generated by the base model.

    The base model comes with its weights, but for a backend that keeps them to itself.
    """
    data = prepare_stored_data(recipe, weights=not keeps_weights(recipe))
    for source in list_rehearsals(recipe):
        need = data.needs[source.name]
        snapshot = run_task(
            generate_rehearsal, source, data.model, need, recipe.mixture.unit, recipe.seed
        )
        clean = run_task(check_quality, snapshot, source, recipe.quality, recipe.seed)
        refuse_blocked([clean])
        [clean] = run_task(
            remove_duplicates, [clean], keep_near_duplicates(recipe.quality), data.clean
        )
        tokens = run_task(
            tokenise_source,
            clean,
            data.model,
            recipe.training.sequence_length,
            data.excluded,
            make_row_format(recipe),
        )
        _refuse_losses(recipe, tokens)
        data = replace(data, clean=(*data.clean, clean), tokens=(*data.tokens, tokens))
    return data


def _refuse_losses(recipe: Recipe, tokens: TokenizedSource) -> None:
    section = recipe.training
    refuse_losses(tokens, section.sequence_length, section.max_overlong_loss)


def rewrite_sources(recipe: Recipe, data: Data) -> tuple[CleanSource, ...]:
    """Return the sources as they are trained on: some with targets in the base's own words.

    What is evaluated or validated on stays as it is.
    """
    length, sections = recipe.training.sequence_length, collect_rewrites(recipe)
    return tuple(
        run_task(rewrite_targets, c, sections[c.name], data.model, length, recipe.seed)
        if c.name in sections
        else c
        for c in data.clean
    )


def refuse_unanswerable(recipe: Recipe, data: Data) -> None:
    """Refuse suites with labels that no answer of the base model has room for.

    Raises:
        EvaluationError: A label is of more tokens than an answer may have.
    """
    suites = [s for s in recipe.evaluation.suites if "labels" in type(s).model_fields]
    if suites:
        tokenizer, context = load_tokenizer(data.model.path), make_context(recipe, data)
        for suite in suites:
            refuse_long_labels(
                suite,
                open_suite(suite, context),
                lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"]),
            )


def collect_rewrites(recipe: Recipe) -> dict[str, Rewrite]:
    """Return how targets are rewritten, by source."""
    return {
        s.name: s.rewrite
        for s in recipe.sources
        if isinstance(s, StoredSource) and s.rewrite is not None
    }


def make_row_format(recipe: Recipe) -> RowFormat:
    """Return what the recipe's method makes of a chat row."""
    return RowFormat(recipe.training.method, recipe.training.overlong)


def keep_near_duplicates(quality: Quality) -> Quality:
    """Return the section for rehearsal: exact duplicates of other sources go, no others.

    Several answers of the model to one prompt are alike on purpose, and as many were generated as
    the mixture needs.
    """
    return quality.model_copy(update={"near_duplicates": None})


def mix(recipe: Recipe, data: Data) -> MixtureReceipt:
    """Return the materialised mixture, its shards written side by side.

    What a backend mixes in of its own is not part of it.
    """
    recipe = own_part(recipe)
    supplies = join_supplies(recipe, data.tokens)
    key = mixture_key(recipe.mixture, supplies, recipe.seed)[:32]
    waiting = partial(report, "waiting for another run that writes the same mixture", 0, 1)
    with locked(home("mixtures", f".{key}.lock"), waiting):
        build = run_task(plan_mixture, recipe.mixture, supplies, recipe.seed)
        run_task(show_plan, build.table)
        map_task(write_shards, split_blocks(build, Settings().workers))
        origin = recipe.model_dump(mode="json", exclude={"gates", "references", "tracking"})
        # With the day that the template wrote, whatever day it is made again on.
        origin["model"] |= data.model.chat.model_dump(mode="json")
        return run_task(finish_mixture, build, data.model, origin)


def join_supplies(recipe: Recipe, tokens: Sequence[TokenizedSource]) -> list[Supply]:
    """Return what each tokenised source can give to the mixture, with its weight as written."""
    weights, unit = {s.name: s.weight for s in recipe.sources}, recipe.mixture.unit
    return [Supply(t.name, t.role, weights[t.name], int(getattr(t, unit)), t) for t in tokens]


def list_supplies(recipe: Recipe, tokens: Sequence[TokenizedSource]) -> list[Supply]:
    """Return what all sources can give, rehearsal that is still to be generated among them."""
    rehearsals = [Supply(s.name, s.role, s.weight, None) for s in list_rehearsals(recipe)]
    return [*join_supplies(recipe, tokens), *rehearsals]


def collect_exclusions(recipe: Recipe, data: Data) -> dict[str, list[str | Item]]:
    """Return the items of the suites that training rows may not overlap with."""
    context = make_context(recipe, data)
    return {
        name: overlap_texts(recipe.suite(name), context)
        for name in recipe.mixture.exclude_overlap_with
    }


def make_context(recipe: Recipe, data: Data) -> EvalContext:
    """Return what a suite needs to know beside the model."""
    return _make_context(recipe, data.clean)


def _make_context(recipe: Recipe, clean: Sequence[CleanSource]) -> EvalContext:
    section = recipe.evaluation
    return EvalContext(
        split=section.split,
        seed=recipe.split_seed,
        dtype=section.dtype,
        sources={c.name: c for c in clean},
    )


def list_rehearsals(recipe: Recipe) -> list[RehearsalSource]:
    """Return the sources that the base model generates; none where all rows are the domain's."""
    used = recipe.mixture.least_domain_share < 1
    return [s for s in recipe.sources if isinstance(s, RehearsalSource) and used]


def count_rehearsal_needs(recipe: Recipe, tokens: Sequence[TokenizedSource]) -> dict[str, int]:
    """Return the units each rehearsal source must give, from the shares of the others."""
    rehearsals = list_rehearsals(recipe)
    if not rehearsals:
        return {}
    stages = plan_quotas(recipe.mixture, list_supplies(recipe, tokens))
    return {s.name: sum(quota[s.name] for quota in stages) for s in rehearsals}


def plan_gates(recipe: Recipe, data: Data) -> tuple[GatePlan, ...]:
    """Return what each gate can tell on the items its metric will be over.

    Raises:
        RecipeError: A margin can't be shown by so many items.
    """
    suites = [_suite_of(recipe, gate) for gate in recipe.gates]
    # Several gates may rest on one suite, and opening it reads its data.
    runners = {
        key: open_suite(suite, make_context(recipe, data))
        for key, suite in {s.model_dump_json(): s for s in suites}.items()
    }
    plans = []
    for gate, suite in zip(recipe.gates, suites, strict=True):
        name = gate.metric.partition("/")[2]
        runner = runners[suite.model_dump_json()]
        n, classes = count_items(runner, name), count_classes(runner, name)
        plans.append(plan_gate(gate, suite.metric_table()[name], n, classes))
    refuse_unresolved(tuple(plans))
    return tuple(plans)


def _suite_of(recipe: Recipe, gate: Gate) -> Suite:
    suite = recipe.suite(gate.metric.partition("/")[0])
    return (
        multiply_item_limit(suite, gate.extend_times) if gate.on_inconclusive == "extend" else suite
    )


def plan_recipe(recipe: Recipe) -> PlanTable:
    """Return the plan; what rehearsal will generate is estimated and says so."""
    recipe = own_part(recipe)
    data = prepare_stored_data(recipe, weights=False)
    estimates = {n: _estimate_rehearsal(recipe, data, n) for n in data.needs}
    supplies = (list_supplies if estimates else join_supplies)(recipe, data.tokens)
    table = plan_table(recipe.mixture, supplies, recipe.seed, estimates)
    digest = table.digest
    if estimates:
        rehearsals = [recipe.source(n) for n in estimates]
        digest = digest_of([digest, recipe.model, rehearsals, data.needs])
    rewritten, clean = collect_rewrites(recipe), data.by_name()
    lines = []
    for line in table.sources:
        if line.name in rewritten:
            notes = filter(None, [line.note, describe_plan(clean[line.name])])
            line = line.model_copy(update={"note": "; ".join(notes)})
        lines.append(line)
    gates = tuple(f"{g.metric} ({g.rule}): {g.note}" for g in data.gates)
    gates += tuple(filter(None, [joint_chance(data.gates)]))
    return table.model_copy(
        update={
            "digest": digest,
            "gates": gates,
            "sources": tuple(lines),
            "model": _describe_model(recipe, data),
        }
    )


def _describe_model(recipe: Recipe, data: Data) -> tuple[str, ...]:
    """Return what a plan says of the base model: what a person wouldn't expect of it."""
    if keeps_weights(recipe):
        return ()
    found = probe_model(data.model).findings
    # Rows of a shape that the template can't write are told with their source.
    told = [f for f in found if f.state != "ok" and f.name not in SHAPES]
    return tuple(f"{f.name}: {f.says}" for f in told)


def _estimate_rehearsal(recipe: Recipe, data: Data, name: str) -> Units:
    """Return what rehearsal is expected to give for its need, without generating anything."""
    source, need, unit = recipe.source(name), data.needs[name], recipe.mixture.unit
    assert isinstance(source, RehearsalSource)
    found = estimate_rehearsal(source, data.model, need, unit)
    rows = max(round(found["answers"] / SLACK), 1)
    answer = found["generated_tokens"] / found["answers"]
    tokens = round(rows * (answer + found["prompt_tokens"]))
    return {"rows": rows, "tokens": tokens, "supervised_tokens": round(rows * answer), unit: need}
