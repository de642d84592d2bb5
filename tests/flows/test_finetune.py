"""The whole flow on a tiny model: what it leaves, what it reuses, and how it fails."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from configs.loading import load_recipe, recipe_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Fields = dict[str, Any]
# What a run writes anew each time; everything else is an artifact with a key.
PER_RUN = ("runs", "mlartifacts", "mlflow.db", "prefect")


@pytest.fixture(scope="module")
def began() -> datetime:
    """When the first flow of this module began; the server knows of others before."""
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def report(flow_home: Path, began: datetime, tiny_recipe: Path) -> Any:
    """The report of the tiny recipe's first run."""
    from flows.finetune import finetune

    return finetune(str(tiny_recipe))


def test_the_report_is_whole(report: Any, tiny_recipe: Path) -> None:
    recipe = load_recipe(tiny_recipe)
    assert report.name == "tiny"
    assert report.recipe_digest == recipe_digest(recipe)
    assert report.verdict in ("PASS", "FAIL", "INCONCLUSIVE")
    assert [(g.metric, g.rule) for g in report.gates] == [
        ("reviews/micro_f1", "improve"),
        ("mmlu/letter_mass", "hold"),
    ]
    metrics = {
        f"{suite.name}/{name}"
        for suite in recipe.evaluation.suites
        for name, metric in suite.metric_table().items()
        if not metric.paired
    }
    assert set(report.metrics["base"]) == set(report.metrics["candidate"]) == metrics
    assert report.trained.steps == 2
    assert (report.checkpoint / "model.safetensors").is_file()
    assert report.lock.is_file()
    assert report.scorecard.is_file()


def test_the_report_is_found_again(report: Any) -> None:
    from flows.report import find_report

    assert find_report(report.run_id[:8]) == report
    assert find_report(str(report.folder)) == report


def test_training_changed_the_weights_and_base_and_candidate_answer_the_same_items(
    report: Any,
) -> None:
    assert report.trained.digest != report.trained.parent
    pairs = list(zip(report.base_scores, report.candidate_scores, strict=True))
    assert all(b.fingerprint == c.fingerprint for b, c in pairs)
    assert all(b.weights_digest == report.trained.parent for b, _ in pairs)
    assert all(c.weights_digest == report.trained.digest for _, c in pairs)


def test_mlflow_has_the_finished_run(report: Any, flow_home: Path) -> None:
    client = _mlflow(flow_home)
    run = client.get_run(report.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "5"
    assert run.data.params["mixture.domain_share"] == "0.5"
    assert run.data.metrics["candidate/mmlu/letter_mass"] == pytest.approx(
        report.metrics["candidate"]["mmlu/letter_mass"].value
    )
    assert [m.step for m in client.get_metric_history(report.run_id, "train/loss")] == [1, 2]
    assert run.data.tags["verdict"] == report.verdict
    assert {d.dataset.name for d in run.inputs.dataset_inputs} == {"reviews", "general"}
    kept = {a.path for a in client.list_artifacts(report.run_id)}
    assert {
        "recipe.yaml",
        "mixture.lock.json",
        "gates.json",
        "scorecard.html",
        "items",
        "quality",
    } <= kept


def test_the_recipe_kept_with_the_run_is_the_recipe(report: Any, flow_home: Path) -> None:
    text = Path(_mlflow(flow_home).download_artifacts(report.run_id, "recipe.yaml")).read_text()
    assert recipe_digest(load_recipe(yaml.safe_load(text))) == report.recipe_digest


def test_a_second_run_makes_nothing_anew(report: Any, flow_home: Path, tiny_recipe: Path) -> None:
    from flows.finetune import finetune

    before = _made(flow_home)
    again = finetune(str(tiny_recipe))
    assert _made(flow_home) == before
    assert again.run_id != report.run_id
    assert again.trained == report.trained
    assert again.metrics == report.metrics
    assert _mlflow(flow_home).get_run(again.run_id).info.status == "FINISHED"


def test_another_gate_trains_and_evaluates_nothing(
    report: Any, flow_home: Path, tiny_fields: Fields
) -> None:
    from flows.finetune import finetune

    before = _made(flow_home)
    gates = [{"metric": "mmlu/letter_mass", "rule": "improve", "by": 0.5}]
    again = finetune(load_recipe({**tiny_fields, "gates": gates}))
    assert _made(flow_home) == before
    assert again.verdict == "FAIL"


def test_general_data_may_be_the_models_own_answers(
    report: Any, flow_home: Path, tiny_fields: Fields
) -> None:
    from flows.finetune import finetune

    fields = {
        **tiny_fields,
        "name": "rehearsed",
        "sources": [
            tiny_fields["sources"][0],
            {"kind": "rehearsal", "name": "own", "max_new_tokens": 16, "batch_size": 64},
        ],
        # Most of what a random model writes can't be kept, and that is not the point here.
        "quality": {"checks": ["empty", "duplicate"], "max_quarantine": 1.0},
        "mixture": {**tiny_fields["mixture"], "unit": "rows", "domain_share": 0.8},
    }
    rehearsed = finetune(load_recipe(fields))
    assert set(rehearsed.mixture.sources) == {"reviews", "own"}
    assert rehearsed.mixture.rows == 24 + 6
    assert rehearsed.trained.digest != report.trained.digest
    tags = _mlflow(flow_home).get_run(rehearsed.run_id).data.tags
    assert tags["quality.own"] in ("pass", "quarantine")


def test_a_missing_file_is_told_before_the_model_is_fetched(
    flow_home: Path, tiny_fields: Fields
) -> None:
    from flows.finetune import finetune
    from tasks.errors import SourceError

    nowhere = {**tiny_fields["sources"][0], "path": "nowhere.jsonl"}
    fields = {
        **tiny_fields,
        "model": {"path": "nowhere"},
        "sources": [nowhere, tiny_fields["sources"][1]],
    }
    with pytest.raises(SourceError, match="nowhere.jsonl"):
        finetune(load_recipe(fields))


def test_a_blocked_source_ends_the_run_as_failed(
    report: Any, flow_home: Path, tiny_fields: Fields
) -> None:
    from flows.finetune import finetune
    from tasks.errors import QualityBlocked

    fields = {**tiny_fields, "name": "blocked", "quality": {"min_rows": 1000}}
    with pytest.raises(QualityBlocked, match="reviews"):
        finetune(load_recipe(fields))
    client = _mlflow(flow_home)
    experiment = client.get_experiment_by_name("tiny")
    [run] = [
        r for r in client.search_runs([experiment.experiment_id]) if r.info.run_name == "blocked"
    ]
    assert run.info.status == "FAILED"


def test_the_prefect_ui_gets_plan_verdicts_gates_and_a_link_to_the_scorecard(
    report: Any, began: datetime
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterStartTime

    ours = FlowRunFilter(start_time=FlowRunFilterStartTime(after_=began))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(flow_run_filter=ours)
        names = [run.name for run in client.read_task_runs(flow_run_filter=ours)]
    kept = {a.key: a for a in found}
    assert {"plan", "quality-reviews", "quality-general", "gates", "scorecard"} <= kept.keys()
    assert "scorecard.html" in str(kept["scorecard"].data)
    # One artifact a training that was waited for, brought up to date; the first was of 2 steps.
    trained = [a for a in found if a.key == "training"]
    first = min(trained, key=lambda a: a.created)
    assert first.data == 100
    assert "**completed**, step 2 of 2 · loss " in first.description
    assert len(trained) == names.count("wait for the training") > 0
    assert not [name for name in names if name.startswith("keep ")]


def _mlflow(home: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


def _made(home: Path) -> dict[str, int]:
    return {
        str(f.relative_to(home)): f.stat().st_mtime_ns
        for f in sorted(home.rglob("*"))
        if f.is_file() and f.relative_to(home).parts[0] not in PER_RUN
    }
