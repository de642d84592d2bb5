"""The plan of a recipe before anything is generated or trained."""

from configs.recipe import Recipe
from configs.sources import RehearsalSource
from flows.data import Data, rewrites, source_weights, stored_data
from tasks.mixture.plan import make_plan
from tasks.mixture.planning import plan_table, sizes_of, stocks_of
from tasks.mixture.shares import Stock, quotas, shares, stage_quotas
from tasks.mixture.table import UNITS, PlanLine, PlanTable, drawn, shares_got
from tasks.storage import digest_of

Units = dict[str, int]


def planned(recipe: Recipe) -> PlanTable:
    """Return the plan; what rehearsal will generate is estimated and says so."""
    data = stored_data(recipe, weights=False)
    weights = source_weights(recipe)
    table = (
        _with_rehearsal(recipe, data)
        if data.needs
        else plan_table(recipe.mixture, data.tokens, weights, recipe.seed)
    )
    told = tuple(f"{g.metric} ({g.rule}): {g.note}" for g in data.gates)
    lines = tuple(_rewriting_told(recipe, data, line) for line in table.sources)
    return table.model_copy(update={"gates": told, "sources": lines})


def _rewriting_told(recipe: Recipe, data: Data, line: PlanLine) -> PlanLine:
    if line.name not in rewrites(recipe):
        return line
    from tasks.self_data.summary import describe_plan

    told = describe_plan(data.by_name()[line.name])
    return line.model_copy(update={"note": "; ".join(filter(None, [line.note, told]))})


def _with_rehearsal(recipe: Recipe, data: Data) -> PlanTable:
    mixture, weights = recipe.mixture, source_weights(recipe)
    stocks = stocks_of(mixture, data.tokens, weights)
    stocks += [Stock(n, "general", weights[n], None) for n in data.needs]
    asked = quotas(mixture, stocks)
    sizes = {unit: sizes_of(data.tokens, unit) for unit in UNITS}
    stored = {s.name: asked[s.name] for s in data.tokens}
    plan = make_plan(
        stage_quotas(mixture, stocks, stored),
        sizes[mixture.unit],
        recipe.seed,
        mixture.unit == "rows",
    )
    made = {n: _estimate(recipe, data, n) for n in data.needs}
    units = dict.fromkeys(stored, dict.fromkeys(UNITS, 0)) | drawn(plan, sizes) | made
    intent = [plan.digest(), recipe.model, [recipe.source(n) for n in made], data.needs]
    return PlanTable(
        digest=digest_of(intent),
        unit=mixture.unit,
        total=sum(u[mixture.unit] for u in units.values()),
        sources=_lines(recipe, data, stocks, units),
    )


def _estimate(recipe: Recipe, data: Data, name: str) -> Units:
    """Return what rehearsal is expected to give for its need, without generating anything."""
    from tasks.self_data.rehearsal import SLACK, estimate_rehearsal

    source, need, unit = recipe.source(name), data.needs[name], recipe.mixture.unit
    assert isinstance(source, RehearsalSource)
    found = estimate_rehearsal(source, data.model, need, unit)
    rows = max(round(found["answers"] / SLACK), 1)
    answer = found["generated_tokens"] / found["answers"]
    tokens = round(rows * (answer + found["prompt_tokens"]))
    return {"rows": rows, "tokens": tokens, "supervised_tokens": round(rows * answer), unit: need}


def _lines(
    recipe: Recipe, data: Data, stocks: list[Stock], units: dict[str, Units]
) -> tuple[PlanLine, ...]:
    parts, got = shares(recipe.mixture, stocks), shares_got(units)
    return tuple(
        PlanLine(
            name=s.name,
            role=s.role,
            weight=s.weight,
            share=float(parts[s.name]),
            **units[s.name],
            epochs=units[s.name][recipe.mixture.unit] / s.units if s.units else 1.0,
            share_got=got[s.name],
            note="to be generated; estimated" if s.name in data.needs else "",
        )
        for s in stocks
    )
