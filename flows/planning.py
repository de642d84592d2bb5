"""The plan of a recipe before anything is generated or trained."""

from configs.recipe import Recipe
from configs.sources import RehearsalSource
from flows.data import Data, all_supplies, join_supplies, rewrites, stored_data
from tasks.mixture.table import PlanLine, PlanTable, plan_table
from tasks.storage import digest_of

Units = dict[str, int]


def planned(recipe: Recipe) -> PlanTable:
    """Return the plan; what rehearsal will generate is estimated and says so."""
    data = stored_data(recipe, weights=False)
    made = {n: _estimate(recipe, data, n) for n in data.needs}
    supplies = (all_supplies if made else join_supplies)(recipe, data.tokens)
    table = plan_table(recipe.mixture, supplies, recipe.seed, made)
    digest = table.digest
    if made:
        digest = digest_of([digest, recipe.model, [recipe.source(n) for n in made], data.needs])
    told = tuple(f"{g.metric} ({g.rule}): {g.note}" for g in data.gates)
    lines = tuple(_rewriting_told(recipe, data, line) for line in table.sources)
    return table.model_copy(update={"digest": digest, "gates": told, "sources": lines})


def _rewriting_told(recipe: Recipe, data: Data, line: PlanLine) -> PlanLine:
    if line.name not in rewrites(recipe):
        return line
    from tasks.rewriting.telling import told_before

    told = told_before(data.by_name()[line.name])
    return line.model_copy(update={"note": "; ".join(filter(None, [line.note, told]))})


def _estimate(recipe: Recipe, data: Data, name: str) -> Units:
    """Return what rehearsal is expected to give for its need, without generating anything."""
    from tasks.ingest.rehearsal import SLACK, rehearsal_plan

    source, need, unit = recipe.source(name), data.needs[name], recipe.mixture.unit
    assert isinstance(source, RehearsalSource)
    found = rehearsal_plan(source, data.model, need, unit)
    rows = max(round(found["answers"] / SLACK), 1)
    answer = found["generated_tokens"] / found["answers"]
    tokens = round(rows * (answer + found["prompt_tokens"]))
    return {"rows": rows, "tokens": tokens, "supervised_tokens": round(rows * answer), unit: need}
