import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

from configs.loading import recipe_digest
from configs.recipe import Recipe
from configs.settings import Settings
from tasks.artifacts import Checkpoint, CleanSource, MixtureReceipt
from tasks.errors import SetupError
from tasks.scores import GateResult, SuiteScores
from tasks.tracking.scorecard.card import Card

pytestmark = pytest.mark.slow
Scored = Callable[[float], tuple[SuiteScores, ...]]
TEXT = "name: voc-75  # as written\nhf_token: abc\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """An MLflow of this module's own, on SQLite (its first start makes tables for seconds)."""
    return Settings(home=tmp_path_factory.mktemp("a home"), MLFLOW_TRACKING_URI=None)


def stored(settings: Settings, run_id: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(settings.tracking_uri).get_run(run_id)


def artifact(settings: Settings, run_id: str, path: str) -> Path:
    return Path(unquote(urlparse(stored(settings, run_id).info.artifact_uri).path)) / path


@pytest.fixture
def run(settings: Settings, recipe: Recipe) -> Any:
    from tasks.tracking.mlflow_run import Run, open_run

    return Run(open_run(recipe, TEXT, settings=settings), settings)


def test_a_run_has_the_recipe_as_parameters_and_as_written(
    run: Any, settings: Settings, recipe: Recipe
) -> None:
    data = stored(settings, run.run_id).data
    assert data.params["mixture.domain_share"] == "0.75"
    assert data.params["sources.voc.path"] == "s3://***@bucket/voc.jsonl"
    assert data.tags["recipe.digest"] == recipe_digest(recipe)
    assert data.tags["mlflow.runName"] == "voc-75"
    assert artifact(settings, run.run_id, "recipe.yaml").read_text() == (
        "name: voc-75  # as written\nhf_token: ***\n"
    )
    assert artifact(settings, run.run_id, "").is_relative_to(settings.root / "mlartifacts")


def test_the_same_flow_run_resumes_its_run(settings: Settings, recipe: Recipe) -> None:
    from tasks.tracking.mlflow_run import Run, open_run

    first = open_run(recipe, TEXT, "flow-1", settings)
    Run(first, settings).finish("FAILED")
    assert stored(settings, first).info.status == "FAILED"
    assert open_run(recipe, TEXT, "flow-1", settings) == first
    assert stored(settings, first).info.status == "RUNNING"
    assert open_run(recipe, TEXT, "flow-2", settings) != first


def test_sources_are_inputs_with_their_role_digest_and_verdict(
    run: Any, settings: Settings, clean: tuple[CleanSource, ...]
) -> None:
    run.log_sources(clean)
    run.log_sources(clean)
    found = stored(settings, run.run_id)
    inputs = {i.dataset.name: i for i in found.inputs.dataset_inputs}
    assert inputs.keys() == {"voc", "chat"}
    voc = inputs["voc"]
    assert voc.tags[0].value == "domain"
    assert voc.dataset.digest == clean[0].digest[:36]
    assert json.loads(voc.dataset.profile)["num_rows"] == 10
    assert "user:pw" not in voc.dataset.source
    assert found.data.tags["quality.voc"] == "quarantine"
    assert artifact(settings, run.run_id, "quality/voc/verdict.json").is_file()


def test_shares_asked_and_got_are_parameters_and_the_lock_is_kept(
    run: Any, settings: Settings, mixture: MixtureReceipt
) -> None:
    run.log_mixture(mixture)
    params = stored(settings, run.run_id).data.params
    assert (params["share.chat.asked"], params["share.chat.got"]) == ("0.25", "0.25")
    kept = artifact(settings, run.run_id, "mixture.lock.json")
    assert kept.read_bytes() == mixture.lock.read_bytes()


def test_losses_are_logged_by_step_and_only_once(
    run: Any, settings: Settings, checkpoint: Checkpoint
) -> None:
    from mlflow import MlflowClient

    log = checkpoint.path / "losses.jsonl"
    plain = log.read_text().replace("loss/</td><script>alert('x')</script>", "loss/chat")
    log.write_text("".join(plain.splitlines(keepends=True)[:10]))
    run.log_losses(checkpoint)
    log.write_text(plain)
    run.log_losses(checkpoint)
    run.log_losses(checkpoint)
    client = MlflowClient(settings.tracking_uri)
    for key, last in (("train/loss", 0.1), ("train/loss/voc", 4 / 30)):
        history = sorted(client.get_metric_history(run.run_id, key), key=lambda m: m.step)
        assert [m.step for m in history] == list(range(1, 31))
        assert history[-1].value == pytest.approx(last)


def test_scores_have_intervals_and_keep_their_items(
    run: Any, settings: Settings, scored: Scored
) -> None:
    base, candidate = scored(0.3), scored(0.8)
    run.log_scores("base", base)
    run.log_scores("candidate", candidate)
    data = stored(settings, run.run_id).data
    f1 = candidate[0].metrics["macro_f1"]
    for end, value in (("", f1.value), (".low", f1.low), (".high", f1.high)):
        assert data.metrics[f"candidate/voc-intent/macro_f1{end}"] == pytest.approx(value)
    assert "base/mmlu/gold_margin" in data.metrics
    assert data.tags["weights.candidate"] == candidate[-1].weights_digest
    kept = artifact(settings, run.run_id, "items/base/mmlu/items.parquet")
    assert kept.read_bytes() == base[1].items.read_bytes()


def test_gates_are_tags_differences_and_a_file(
    run: Any, settings: Settings, gates: tuple[GateResult, ...]
) -> None:
    run.log_gates("INCONCLUSIVE", gates)
    data = stored(settings, run.run_id).data
    assert data.tags["verdict"] == "INCONCLUSIVE"
    assert data.tags["gate.voc-intent/macro_f1.improve"] == "PASS"
    assert data.metrics["difference/mmlu/gold_margin.low"] == 0.4
    kept = json.loads(artifact(settings, run.run_id, "gates.json").read_text())
    assert [GateResult.model_validate(g) for g in kept] == list(gates)


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "FINISHED"), (ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED")],
)
def test_a_run_ends_as_its_pipeline_does(
    settings: Settings, recipe: Recipe, error: BaseException | None, status: str
) -> None:
    from tasks.tracking.mlflow_run import tracked_run

    seen = []
    with contextlib.suppress(ValueError, KeyboardInterrupt):
        with tracked_run(recipe, TEXT, settings=settings) as run:
            seen.append(run.run_id)
            if error is not None:
                raise error
        seen.append("went on")
    assert stored(settings, seen[0]).info.status == status
    assert ("went on" in seen) == (error is None)


KILLED_RUN = """
import os, sys
from configs.loading import load_recipe
from tasks.tracking.mlflow_run import open_run
print(open_run(load_recipe(sys.argv[1]), ""), flush=True)
os.kill(os.getpid(), 9)
"""


def test_a_run_whose_process_was_killed_is_ended_by_the_next(
    settings: Settings, recipe: Recipe, tmp_path: Path, python: Path
) -> None:
    from tasks.tracking.mlflow_run import open_run

    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.model_dump_json())
    env = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
    killed = subprocess.run(
        [python, "-c", KILLED_RUN, str(file)],
        capture_output=True,
        text=True,
        env=env | {"TEMPER_HOME": str(settings.root)},
    )
    left = killed.stdout.strip()
    assert killed.returncode == -9, killed.stderr
    assert stored(settings, left).info.status == "RUNNING"
    going_on = open_run(recipe, TEXT, settings=settings)
    assert stored(settings, left).info.status == "KILLED"
    assert stored(settings, going_on).info.status == "RUNNING"


def test_two_runs_side_by_side_keep_to_themselves(settings: Settings, recipe: Recipe) -> None:
    from tasks.tracking.mlflow_run import tracked_run

    with tracked_run(recipe, TEXT, settings=settings) as one:
        with tracked_run(recipe, TEXT, settings=settings) as two:
            one.log_gates("PASS", [])
            two.log_gates("FAIL", [])
        assert stored(settings, one.run_id).info.status == "RUNNING"
    found = [stored(settings, r.run_id).data.tags["verdict"] for r in (one, two)]
    assert found == ["PASS", "FAIL"]


def test_a_deleted_experiment_is_refused_with_the_fix(settings: Settings, recipe: Recipe) -> None:
    from mlflow import MlflowClient

    from tasks.tracking.mlflow_run import open_run

    gone = recipe.model_copy(
        update={"tracking": recipe.tracking.model_copy(update={"experiment": "gone"})}
    )
    client = MlflowClient(settings.tracking_uri)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(SetupError, match=r"'gone' was deleted.*Fix: restore"):
        open_run(gone, TEXT, settings=settings)


def test_an_address_that_mlflow_refuses_is_named(
    settings: Settings, recipe: Recipe, tmp_path: Path
) -> None:
    from tasks.tracking.mlflow_run import open_run

    files = Settings(home=tmp_path, MLFLOW_TRACKING_URI=str(tmp_path / "mlruns"))
    with pytest.raises(SetupError, match="MLflow can't be used.*MLFLOW_TRACKING_URI"):
        open_run(recipe, TEXT, settings=files)


def test_the_scorecard_does_not_need_mlflow(card: Card, temper_home: Path) -> None:
    import subprocess

    code = (
        "import sys, tasks.tracking.scorecard.page, tasks.tracking.scorecard.card; "
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_is_published_to_mlflow_and_prefect(
    card: Card,
    settings: Settings,
    recipe: Recipe,
    prefect_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from prefect import flow
    from prefect.artifacts import Artifact

    from tasks.tracking.task import finish_tracking, publish_scorecard, start_tracking

    monkeypatch.setenv("TEMPER_HOME", str(settings.home))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    @flow
    def publish() -> tuple[str, Path]:
        run_id = start_tracking(recipe, TEXT)
        page = publish_scorecard(card.model_copy(update={"run_id": run_id}))
        finish_tracking(run_id, "FINISHED")
        return run_id, page

    run_id, page = publish()
    gates, link = (Artifact.get(key=k) for k in ("gates", "scorecard"))
    assert page.is_file()
    assert gates is not None
    assert "needs 1,234" in str(gates.data)
    assert link is not None
    assert page.as_uri() in str(link.data)
    found = stored(settings, run_id)
    assert found.info.status == "FINISHED"
    assert found.data.tags["prefect.flow_run_id"]
    assert artifact(settings, run_id, "scorecard.html").read_text() == page.read_text()
