from pathlib import Path

import pytest

from configs.errors import RecipeError
from configs.loading import SHIPPED, load_recipe, recipe_digest, recipe_text

GOOD = """\
name: good
seed: 17
model: {path: some/model}
sources:
  - {name: voc, role: domain, kind: files, path: voc.jsonl}
  - {name: replay, kind: rehearsal}
mixture:
  domain_share: 0.5
evaluation:
  suites:
    - {kind: classification, name: voc, source: voc}
    - {kind: mmlu, name: mmlu}
gates:
  - {metric: voc/macro_f1, rule: improve, by: 0.05}
"""


def problem(tmp_path: Path, old: str, new: str) -> RecipeError:
    path = tmp_path / "r.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "where", "says"),
    [
        ("domain_share", "domian_share", ":8: mixture.domian_share", "did you mean 'domain_share'"),
        ("path: voc.jsonl", "path: v, weight: -1", ":5: sources.0.weight", "greater than 0"),
        ("kind: rehearsal", "kind: rehersal", ":6: sources.1.kind", "'rehearsal'"),
        ("0.5", "1.5", ":8: mixture.domain_share", "less than or equal to 1"),
        ("kind: mmlu", "kind: mmmlu", ":12: evaluation.suites.1.kind", "'mmlu'"),
        ("voc/macro_f1", "voc/f1", ":14: gates.0.metric", "voc/macro_f1"),
        ("source: voc", "source: cov", ":11: evaluation.suites.0.source", "one of voc"),
        ("name: replay", "name: voc", ":4: sources", "name used twice: voc"),
        ("0.5", "0.5\n\tunit: rows", ":9:1", "tab"),
        ("rule: improve, by", "rule: improve, margin", ":14: gates.0.margin", "not a key"),
        ("model: {path: some/model}\n", "", "model", "required and missing"),
        ("  domain_share: 0.5", "  size: {}", ":8: mixture.size", "exactly one"),
        ("improve, by", "improve, margin", ":14: gates.0.margin", "it goes with hold; use one of"),
        ("kind: rehearsal", "kimd: rehearsal", ":6: sources.1.kimd", "did you mean 'kind'"),
        (
            "path: voc.jsonl",
            "path: v, columns: {promt: a}",
            ":5: sources.0.columns.promt",
            "did you mean 'prompt'",
        ),
        (
            "seed: 17",
            "quality: {rules: {c4: null, repetition: {max_top_grams: [0.1, 0.1]}}}",
            ":2: quality.rules.repetition.max_top_grams",
            "2 values are too few. Fix: give 3",
        ),
        (
            "seed: 17",
            "training: {loss_weight: {not.there: 2}}",
            ":2: training.loss_weight.not.there",
            "no source is named 'not.there'",
        ),
        (
            "seed: 17",
            "training: {adapter: {targets: [q_proj, 3]}}",
            ":2: training.adapter.targets.1",
            "valid string",
        ),
    ],
)
def test_a_wrong_recipe_names_line_path_and_fix(tmp_path, old, new, where, says):
    error = problem(tmp_path, old, new)
    assert where in error.where
    assert says in error.paragraph()
    assert error.exit_code == 2
    assert "\n" not in error.paragraph()


def test_the_problems_after_the_first_are_named_once_each(tmp_path):
    once = problem(tmp_path, "kind: mmlu", "kind: mmlu, shots: 9")
    assert once.more == ()
    both = problem(tmp_path, "kind: mmlu, name: mmlu", "kind: mmlu, nome: mmlu, shots: 9")
    assert "nome" in both.where
    assert ["shots" in one.where for one in both.more] == [True]
    assert "shots" in both.paragraph()


def test_a_password_in_an_address_is_not_repeated(tmp_path):
    judge = "{kind: endpoint, name: j, revision: a, url: 'https://me:hidden@x/v1'}"
    suite = f"kind: judge, source: voc, judge: {judge}"
    error = problem(tmp_path, "kind: mmlu", suite)
    assert ": evaluation.suites.1.judge.url" in error.where
    assert "hidden" not in error.paragraph()


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text("")
    with pytest.raises(RecipeError, match=r"r\.yaml: the file is empty"):
        load_recipe(path)


def test_a_missing_file_lists_the_shipped_recipes():
    with pytest.raises(RecipeError, match=r"nowhere\.yaml.*smoke"):
        load_recipe("nowhere.yaml")


def test_overrides_reach_sources_by_name(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(GOOD)
    recipe = load_recipe(path, ["sources.voc.path=other.jsonl", "mixture.size.budget=100"])
    assert recipe.source("voc").path == "other.jsonl"
    whole = load_recipe(path, ["sources.replay={name: new, kind: rehearsal}"])
    assert [source.name for source in whole.sources] == ["voc", "new"]
    assert recipe.mixture.size.budget == 100


@pytest.mark.parametrize(
    "override", ["seed", "=3", "sources.nobody.path=x", "seed.x=1", "sources.nobody=x"]
)
def test_an_override_that_leads_nowhere_is_refused(tmp_path, override):
    path = tmp_path / "r.yaml"
    path.write_text(GOOD)
    with pytest.raises(RecipeError, match="--set"):
        load_recipe(path, [override])


def test_the_digest_is_of_the_intent_not_of_the_spelling(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_text(GOOD)
    recipe = load_recipe(path)
    path.write_text("# a comment\n" + GOOD.replace("seed: 17\n", ""))
    assert recipe_digest(load_recipe(path)) == recipe_digest(recipe)
    assert recipe_digest(load_recipe(path, ["seed=18"])) != recipe_digest(recipe)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda p: p.stem)
def test_a_shipped_recipe_loads_by_name_and_survives_being_written(path, tmp_path):
    recipe = load_recipe(path.stem)
    copy = tmp_path / "copy.yaml"
    copy.write_text(recipe_text(recipe))
    assert load_recipe(copy) == recipe
