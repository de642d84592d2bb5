"""Gates around the pipeline, with suites that need no model."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from flows import evaluate, pipeline
from flows.evaluate import ScoredModel, evaluate_gates, find_champion
from flows.pipeline import Data, plan_gates
from tasks.artifacts import LocalModel
from tasks.errors import DataError, RecipeError
from tasks.evaluation.items import ItemRow, write_items
from tasks.metrics.estimates import BY_KIND, estimate_all
from tasks.scores import SuiteScores

FIELDS: dict[str, Any] = {
    "name": "voc-75",
    "model": {"path": "model"},
    "sources": [{"name": "voc", "role": "domain", "kind": "files", "path": "voc.jsonl"}],
    "mixture": {"domain_share": 1.0},
    "evaluation": {
        "suites": [
            {"kind": "bits_per_byte", "name": "general", "path": "general.txt", "limit": 50},
            {"kind": "classification", "name": "voc", "source": "voc", "items_per_label": 20},
        ]
    },
}
HOLD = {"metric": "voc/accuracy", "rule": "hold", "margin": 0.1}


@pytest.fixture
def suite_scores(tmp_path: Path) -> Callable[..., SuiteScores]:
    """A function from a suite's rows of nats and bytes to its stored scores."""
    made = 0

    def make(suite: str, kind: str, rows: list[dict[str, Any]], fingerprint: str) -> SuiteScores:
        nonlocal made
        made += 1
        path = tmp_path / str(made)
        path.mkdir()
        items = [
            ItemRow(f"i{i}", prompt_digest="p", prompt_tokens=1, **row)
            for i, row in enumerate(rows)
        ]
        write_items(path / "items.parquet", suite, items, None)
        return SuiteScores(
            path=path,
            digest=f"{made:064x}",
            suite=suite,
            kind=kind,
            fingerprint=fingerprint,
            weights_digest=f"{made:064x}",
            metrics=estimate_all(path / "items.parquet", BY_KIND[kind]),
        )

    return make


def recipe(*declared: dict[str, Any], **more: Any) -> Recipe:
    return load_recipe({**FIELDS, "gates": list(declared), **more})


def model(name: str) -> LocalModel:
    return LocalModel(path=Path(name), digest=name, name=name, tokenizer_digest="t")


class Scorer:
    """Puts a recipe's suites to models whose bits per byte are known."""

    def __init__(self, make: Callable[..., SuiteScores], bits: dict[str, float]) -> None:
        self.make, self.bits, self.asked = make, bits, []  # type: ignore[var-annotated]

    def __call__(self, recipe: Recipe, data: Data, asked: LocalModel) -> list[SuiteScores]:
        found = []
        for suite in recipe.evaluation.suites:
            n = getattr(suite, "limit", 60)
            self.asked.append((asked.name, suite.name, n))
            nats = [100 * self.bits[asked.name] + (i * 37 % 11) - 5 for i in range(n)]
            rows = [{"form": "text", "nats": x, "bytes": 100} for x in nats]
            found.append(self.make(suite.name, "bits_per_byte", rows, fingerprint=str(n)))
        return found


def held(**more: Any) -> dict[str, Any]:
    return {"metric": "general/bits_per_byte", "rule": "hold", "margin": 0.05, **more}


def judge(declared: Recipe, scorer: Scorer, data: Data) -> list[Any]:
    base, candidate = model("base"), model("candidate")
    before = ScoredModel(base, scorer(declared, data, base))
    after = ScoredModel(candidate, scorer(declared, data, candidate))
    return evaluate_gates(declared, data, before, after, scorer)


@pytest.fixture
def data() -> Data:
    return Data(model("base"), ())


def test_only_what_cannot_be_told_is_asked_again_with_more_items(
    suite_scores: Callable[..., SuiteScores], data: Data
) -> None:
    class Noisy(Scorer):
        def __call__(self, recipe: Recipe, data: Data, asked: LocalModel) -> list[SuiteScores]:
            found = super().__call__(recipe, data, asked)
            if asked.name != "candidate":
                return found
            n = self.asked[-1][2]
            rows = [
                {"form": "text", "nats": 100.0 + (i * 53 % 29) - 14, "bytes": 100} for i in range(n)
            ]
            return [self.make("general", "bits_per_byte", rows, fingerprint=str(n))]

    declared = recipe(held(margin=0.06, on_inconclusive="extend", extend_times=8), held(margin=0.9))
    one_suite = declared.evaluation.suites[:1]
    declared = declared.model_copy(
        update={"evaluation": declared.evaluation.model_copy(update={"suites": one_suite})}
    )
    scorer = Noisy(suite_scores, {"base": 1.0, "candidate": 1.0})
    first, second = judge(declared, scorer, data)
    assert (first.look, first.n, first.verdict) == (2, 400, "PASS")
    assert (second.look, second.n, second.verdict) == (1, 50, "PASS")
    assert scorer.asked[-2:] == [("base", "general", 400), ("candidate", "general", 400)]


def test_each_model_that_a_gate_names_is_asked_and_no_other(
    suite_scores: Callable[..., SuiteScores], data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "fetch_original", lambda _: model("original"))
    monkeypatch.setattr(evaluate, "find_champion", lambda _: model("champion"))
    bits = {"base": 1.0, "original": 0.5, "champion": 0.5, "candidate": 1.02}
    scorer = Scorer(suite_scores, bits)
    declared = recipe(held(margin=0.3), held(margin=0.3, against="original"))
    results = judge(declared, scorer, data)
    assert [r.verdict for r in results] == ["PASS", "FAIL"]
    assert {name for name, _, _ in scorer.asked} == {"base", "candidate", "original"}
    [against] = judge(recipe(held(margin=0.3, against="champion")), scorer, data)
    assert (against.verdict, against.against) == ("FAIL", "champion")


def test_a_margin_is_refused_before_anything_is_trained(
    data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_suite(suite: Any, context: Any) -> Any:
        opened.append(suite.name)
        return suite

    def count_items(suite: Any, metric: str) -> int:
        return 20 * (suite.items_per_label or 0) if suite.name == "voc" else suite.limit

    monkeypatch.setattr(pipeline, "open_suite", open_suite)
    monkeypatch.setattr(pipeline, "make_context", lambda recipe, data: None)
    monkeypatch.setattr(pipeline, "count_items", count_items)
    plans = plan_gates(recipe(HOLD, HOLD | {"margin": 0.2}, held()), data)
    assert [p.n for p in plans] == [400, 400, 50]
    assert sorted(opened) == ["general", "voc"]
    with pytest.raises(RecipeError, match="voc/accuracy can't be decided"):
        plan_gates(recipe(HOLD | {"margin": 0.04}), data)
    extended = HOLD | {"margin": 0.04, "on_inconclusive": "extend"}
    assert plan_gates(recipe(extended), data)[0].n == 1600


@pytest.mark.parametrize(
    ("gate", "change", "words"),
    [
        ({"metric": "voc/macro_f1", "rule": "improve"}, {"items_per_label": 4}, "4 items a class"),
        (HOLD | {"on_inconclusive": "extend"}, {"items_per_label": None}, "already asks all"),
    ],
)
def test_a_recipe_whose_gate_can_never_be_judged_is_refused_as_written(
    gate: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    suite = {**FIELDS["evaluation"]["suites"][1], **change}
    with pytest.raises(RecipeError, match=words):
        recipe(gate, evaluation={"suites": [suite]})


def test_a_family_is_its_domain_sources_whatever_the_experiment_is_called() -> None:
    one, other = recipe(), recipe(name="voc-50", seed=3)
    assert one.family == other.family == "voc"
    assert recipe(tracking={"experiment": "sweep"}).family == one.family
    assert recipe(references={"champion": "voc-live"}).registered_name == "voc-live"
    assert one.registered_name == "voc-75"


def test_a_champion_that_is_not_on_this_machine_is_named(
    temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.tracking.registry import Release

    monkeypatch.setattr(
        "tasks.tracking.registry.champion_of",
        lambda name: Release(name=name, version="3", run_id="r" * 32, weights="w"),
    )
    with pytest.raises(DataError, match=r"version 3 of run rrr.*isn't on this machine"):
        find_champion(recipe())


@pytest.mark.parametrize(("there", "weights"), [(False, True), (True, False)])
def test_a_champion_whose_weights_are_not_here_is_named(
    temper_home: Path, monkeypatch: pytest.MonkeyPatch, there: bool, weights: bool
) -> None:
    folder = temper_home / "checkpoint"
    if there:
        folder.mkdir(parents=True)
    trained = SimpleNamespace(path=folder, has_weights=weights)
    report = SimpleNamespace(run_id="r" * 32, trained=trained)
    monkeypatch.setattr("flows.evaluate.find_champion_report", lambda _: report)
    with pytest.raises(DataError, match="weights of the champion"):
        find_champion(recipe())
