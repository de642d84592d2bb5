"""One MLflow run a pipeline run. The only file that imports MLflow.

Everything goes through a client and a run id, never through MLflow's global active run, so that
pipelines running side by side don't write into each other's runs.
"""

import contextlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from configs.redaction import redact, redact_value
from configs.settings import Settings
from tasks.artifacts import CleanSource
from tasks.locks import Lock, is_held, try_lock
from tasks.tracking.database import (
    DATABASE,
    LOCK_TAG,
    artifacts_of,
    lock_file,
    prepare_database,
)
from tasks.tracking.losses import records_after
from tasks.tracking.masking import flatten, mask_text
from tasks.tracking.names import LONGEST_EXPERIMENT, mlflow_key, mlflow_keys

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from configs.loading import recipe_digest
from configs.recipe import Recipe
from tasks.artifacts import Checkpoint, MixtureReceipt
from tasks.errors import SetupError
from tasks.scores import Estimate, GateResult, SuiteScores
from tasks.tracking.losses import read_losses
from tasks.tracking.scorecard.card import read_lock, rewritten_shares
from tasks.tracking.scorecard.notes import gates_markdown
from tasks.tracking.source_datasets import describe_dataset

Arm = Literal["base", "candidate"]
Status = Literal["FINISHED", "FAILED", "KILLED"]
PARAMS_A_BATCH, METRICS_A_BATCH = 100, 1000
TAG_VALUE = 5000
"""Characters of a tag's value that every MLflow server takes."""
FLOW_RUN, PARENT, RECIPE = "prefect.flow_run_id", "mlflow.parentRunId", "recipe.digest"
# Migrations announce themselves at INFO, and a SageMaker plug-in warns at every HTTP call.
for _name in ("alembic", "mlflow.store.db.utils"):
    logging.getLogger(_name).setLevel(logging.WARNING)
logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)


class Run:
    """An MLflow run that a pipeline writes to.

    Attributes:
        run_id: MLflow's id; also the name of the folder in ``runs/``.
    """

    def __init__(self, run_id: str, settings: Settings | None = None) -> None:
        self.run_id = run_id
        self._client = connect(settings or Settings())

    def log_recipe(self, recipe: Recipe, recipe_text: str) -> None:
        """Log the recipe's fields as parameters and its file as ``recipe.yaml``, secrets masked."""
        self._params(flatten(recipe.model_dump(mode="json")))
        self._client.log_text(self.run_id, mask_text(recipe_text), "recipe.yaml")

    def log_sources(self, clean: Sequence[CleanSource]) -> None:
        """Log each source as a dataset input (context: its role) with its quality verdict."""
        self._client.log_inputs(
            self.run_id,
            [
                DatasetInput(
                    Dataset(**describe_dataset(c)), [InputTag("mlflow.data.context", c.role)]
                )
                for c in clean
            ],
        )
        self._tags({f"quality.{c.name}": c.verdict for c in clean})
        for c in clean:
            for file in ("verdict.json", "page.html"):
                self.log_page(c.path / file, f"quality/{c.name}")

    def log_mixture(self, mixture: MixtureReceipt) -> None:
        """Log shares asked and got (in the mixture's unit), its size, and the lock."""
        lock = read_lock(mixture)
        shares = {f"share.{s['name']}": s for s in lock["sources"]}
        self._params(
            {
                **{f"{key}.asked": f"{s['share']:.6g}" for key, s in shares.items()},
                **{
                    f"{key}.got": f"{s['share_got'][lock['unit']]:.6g}" for key, s in shares.items()
                },
            }
        )
        self._metrics(
            {
                f"mixture/{name}": getattr(mixture, name)
                for name in ("rows", "tokens", "supervised_tokens")
            }
        )
        self._metrics(
            {f"mixture/rewritten/{name}": share for name, share in rewritten_shares(lock).items()}
        )
        self._tags({"mixture.digest": mixture.digest})
        self.log_page(mixture.lock)

    def log_losses(self, checkpoint: Checkpoint) -> None:
        """Log the training log as ``train/...`` by step; steps already there are left alone."""
        last = self.last_step()
        self.log_records([r for r in read_losses(checkpoint) if r["step"] > last])
        held = checkpoint.steps if checkpoint.best_step is None else checkpoint.best_step
        self._tags(
            {
                "checkpoint.digest": checkpoint.digest,
                "checkpoint.parent": checkpoint.parent,
                "checkpoint.steps": str(checkpoint.steps),
                "checkpoint.step": str(held),
                **{f"training.{what.replace(' ', '_')}": n for what, n in checkpoint.notes.items()},
            }
        )

    def last_step(self) -> int:
        """Return the last step of the training log that is there; -1 where there is none."""
        known = self._client.get_metric_history(self.run_id, "train/loss")
        return max((m.step for m in known), default=-1)

    def log_records(self, records: Sequence[Mapping[str, float]]) -> None:
        """Log records of the training log, all of a step's numbers in one request."""
        batch: list[Metric] = []
        for metrics in map(_of_step, records):
            if len(batch) + len(metrics) > METRICS_A_BATCH:
                self._send(batch)
                batch = []
            batch += metrics
        self._send(batch)

    def log_scores(self, arm: Arm, scores: Sequence[SuiteScores]) -> None:
        """Log every metric as ``arm/suite/metric`` with ``.low`` and ``.high``, and the items."""
        for s in scores:
            self._metrics(_ends({f"{arm}/{s.suite}/{m}": e for m, e in s.metrics.items()}))
            self.log_page(s.items, f"items/{arm}/{s.suite}")
        self._tags({f"weights.{arm}": s.weights_digest for s in scores})

    def log_gates(self, verdict: str, results: Sequence[GateResult]) -> None:
        """Log the overall verdict, each gate's verdict and difference, and ``gates.json``."""
        self._metrics(
            {
                f"difference/{_asked(r)}{end}": value
                for r in results
                for end, value in (("", r.difference), (".low", r.low), (".high", r.high))
            }
        )
        verdicts = {f"gate.{_asked(r)}.{r.rule}": r.verdict for r in results}
        self._tags(
            {
                "verdict": verdict,
                **verdicts,
                "mlflow.note.content": gates_markdown(verdict, results),
            }
        )
        record = [r.model_dump(mode="json") for r in results]
        text = json.dumps(redact_value(record), indent=1)
        self._client.log_text(self.run_id, text, "gates.json")

    def log_sweep(self, verdict: str, files: Sequence[Path]) -> None:
        """Log what a sweep found: its verdict, and the files that show it."""
        self._tags({"temper.kind": "sweep", "verdict": verdict or "not judged"})
        for file in files:
            self.log_page(file)

    def log_page(self, path: Path, folder: str | None = None) -> None:
        """Keep a file as an artifact."""
        self._client.log_artifact(self.run_id, str(path), folder)

    def finish(self, status: Status = "FINISHED") -> None:
        """End the run."""
        self._client.set_terminated(self.run_id, status)
        if (lock := _held.pop(self.run_id, None)) is not None:
            lock.release(remove=True)

    def _params(self, params: Mapping[str, str]) -> None:
        keys = mlflow_keys(params)
        items = [Param(keys[name], redact(value)) for name, value in params.items()]
        for i in range(0, len(items), PARAMS_A_BATCH):
            self._client.log_batch(self.run_id, params=items[i : i + PARAMS_A_BATCH])

    def _metrics(self, metrics: Mapping[str, float]) -> None:
        now, keys = _now(), mlflow_keys(metrics)
        self._send([Metric(keys[name], float(v), now, 0) for name, v in metrics.items()])

    def _send(self, metrics: Sequence[Metric]) -> None:
        for i in range(0, len(metrics), METRICS_A_BATCH):
            self._client.log_batch(self.run_id, metrics=metrics[i : i + METRICS_A_BATCH])

    def _tags(self, tags: Mapping[str, str]) -> None:
        keys = mlflow_keys(tags)
        items = [RunTag(keys[name], redact(value)[:TAG_VALUE]) for name, value in tags.items()]
        for i in range(0, len(items), PARAMS_A_BATCH):
            self._client.log_batch(self.run_id, tags=items[i : i + PARAMS_A_BATCH])


def open_run(
    recipe: Recipe,
    recipe_text: str,
    flow_run_id: str | None = None,
    settings: Settings | None = None,
    abandoned: Callable[[str], None] | None = None,
    parent: str | None = None,
) -> str:
    """Start the MLflow run of a pipeline run, or resume it, and return its id.

    Args:
        recipe: Its digest is the tag ``recipe.digest``; its name is the run's.
        recipe_text: The recipe as its author wrote it.
        flow_run_id: The Prefect flow run: the same one resumes its MLflow run.
        settings: Where MLflow is; from the environment when absent.
        abandoned: Told the Prefect flow run of each run that was found to have no process any more.
        parent: The MLflow run it is shown below.

    Raises:
        SetupError: MLflow can't be reached or refuses the experiment.
    """
    settings = settings or Settings()
    with explained(settings):
        client = connect(settings)
        experiment = _experiment(client, recipe.tracking.experiment, settings)
        for lost in end_stale_runs(client, experiment, settings.root):
            if abandoned is not None:
                abandoned(lost)
        lock = _take_lock(settings.root)
        run_id = _resumed(client, experiment, flow_run_id, lock)
        if run_id is None:
            tags = {
                RECIPE: recipe_digest(recipe),
                "temper.version": _version(),
                LOCK_TAG: lock.path.name,
                **({FLOW_RUN: flow_run_id} if flow_run_id else {}),
                **({PARENT: parent} if parent else {}),
            }
            made = client.create_run(experiment, run_name=redact(recipe.name), tags=tags)
            run_id = str(made.info.run_id)
        _held[run_id] = lock
        refuse_other_recipe(run_id, recipe, settings)
        run = Run(run_id, settings)
        run.log_recipe(recipe, recipe_text)
        return run.run_id


@contextlib.contextmanager
def tracked_run(
    recipe: Recipe,
    recipe_text: str,
    flow_run_id: str | None = None,
    settings: Settings | None = None,
) -> Iterator[Run]:
    """Give the pipeline's run; it ends FINISHED, FAILED on an error, KILLED on an interrupt."""
    run = Run(open_run(recipe, recipe_text, flow_run_id, settings), settings)
    try:
        yield run
    except BaseException as error:
        run.finish("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    run.finish()


def refuse_other_recipe(run_id: str, recipe: Recipe, settings: Settings | None = None) -> None:
    """Refuse to go on with a run that was begun by another recipe.

    Raises:
        SetupError: The recipe was changed since the run began.
    """
    settings = settings or Settings()
    with explained(settings):
        tags = connect(settings).get_run(run_id).data.tags
    began, now = tags.get(RECIPE, ""), recipe_digest(recipe)
    if began and began != now:
        raise SetupError(
            f"this run began with another recipe ({began[:12]} then, {now[:12]} now), and a retry "
            "goes on with what was made of that one.",
            where=f"run {run_id}",
            fix="start a new run of the recipe: what hasn't changed is found again.",
        )


def connect(settings: Settings) -> MlflowClient:
    """Return a client of the MLflow that the settings name; TEMPER_HOME's own is made if need be.

    Raises:
        SetupError: TEMPER_HOME's database is of another MLflow, or it can't be read.
    """
    if settings.mlflow_uri is None:
        prepare_database(settings.root, _revision, _create_tables)
    return MlflowClient(settings.tracking_uri)


def _revision() -> str:
    from mlflow.store.db.utils import _get_latest_schema_revision

    return str(_get_latest_schema_revision())


def _create_tables(address: str) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(address, "./mlruns")  # where files are is set when it is whole
    store.engine.dispose()


def _experiment(client: MlflowClient, written: str, settings: Settings) -> str:
    """Return the experiment's id, making it; two pipelines may race for that."""
    name = redact(written)
    if len(name) > LONGEST_EXPERIMENT:
        name = mlflow_key(name, LONGEST_EXPERIMENT)
    found = client.get_experiment_by_name(name)
    if found is None:
        # MLflow's own default is a folder of the current directory.
        place = artifacts_of(settings.root) if settings.mlflow_uri is None else None
        with contextlib.suppress(MlflowException):
            client.create_experiment(name, artifact_location=place)
        found = client.get_experiment_by_name(name)
    if found is None or found.lifecycle_stage != "active":
        raise SetupError(
            f"the MLflow experiment '{name}' {'was deleted' if found else 'could not be made'}.",
            where=redact(settings.tracking_uri),
            fix="restore it (mlflow experiments restore) or name another in tracking.experiment.",
        )
    return str(found.experiment_id)


def _resumed(
    client: MlflowClient, experiment: str, flow_run_id: str | None, lock: Lock
) -> str | None:
    if flow_run_id is None:
        return None
    found = client.search_runs([experiment], f"tags.`{FLOW_RUN}` = '{flow_run_id}'", max_results=1)
    if not found:
        return None
    run_id = str(found[0].info.run_id)
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, LOCK_TAG, lock.path.name)
    return run_id


@contextlib.contextmanager
def explained(settings: Settings) -> Iterator[None]:
    """Turn MLflow's failures into a SetupError that names where it is."""
    try:
        yield
    except MlflowException as error:
        raise SetupError(
            f"MLflow can't be used: {redact(str(error)).splitlines()[0]}",
            where=redact(settings.tracking_uri),
            fix=_fix(error, settings),
        ) from error


def _fix(error: MlflowException, settings: Settings) -> str:
    """Return what mends a failure of MLflow, by its cause."""
    if settings.mlflow_uri is None:
        return (
            f"this is TEMPER_HOME's own database, {settings.root / DATABASE}: see that the disk "
            "has room, and run again."
        )
    if error.error_code == "INVALID_PARAMETER_VALUE":
        return "change what the message names, or unset MLFLOW_TRACKING_URI."
    return "start that server, or unset MLFLOW_TRACKING_URI to keep runs in TEMPER_HOME."


@contextlib.contextmanager
def absent() -> Iterator[None]:
    """Let pass that something is there already, or isn't there; nothing else."""
    try:
        yield
    except MlflowException as error:
        # An alias that no version has is called an invalid parameter.
        if error.error_code not in (
            "RESOURCE_ALREADY_EXISTS",
            "RESOURCE_DOES_NOT_EXIST",
            "INVALID_PARAMETER_VALUE",
        ):
            raise


def _of_step(record: Mapping[str, float]) -> list[Metric]:
    """Return a step's numbers; its loss last: what has a loss has been logged as a whole."""
    when = int(record["time"] * 1000) if "time" in record else _now()
    keys = sorted(record.keys() - {"step", "time"}, key=lambda key: (key == "loss", key))
    return [
        Metric(mlflow_key(f"train/{key}"), record[key], when, int(record["step"])) for key in keys
    ]


def _asked(result: GateResult) -> str:
    """Return the metric, and what it was compared with where that isn't the base."""
    other = "at" if result.against is None else result.against
    return result.metric if other == "base" else f"{result.metric}.{other}"


def _ends(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {
        f"{name}{end}": value
        for name, e in estimates.items()
        for end, value in (("", e.value), (".low", e.low), (".high", e.high))
    }


def _version() -> str:
    try:
        return metadata.version("temper-llm")
    except metadata.PackageNotFoundError:
        return "not installed"


def _now() -> int:
    return int(time.time() * 1000)


# Runs that seem to go on, and don't: their process was killed and could not end them.

_held: dict[str, Lock] = {}
"""Run id -> the lock that says this process writes to it."""


def _take_lock(root: Path) -> Lock:
    lock = try_lock(lock_file(root, f"run-{uuid.uuid4().hex}"))
    assert lock is not None, "a name of its own can't be held by another"
    return lock


def end_stale_runs(client: Any, experiment: str, root: Path) -> list[str]:
    """Mark an experiment's running runs as killed where nobody holds their lock any more.

    Runs of other homes have no lock file here, and are left alone.

    Args:
        client: MLflow's.
        experiment: Its id.
        root: TEMPER_HOME.

    Returns:
        The Prefect flow runs that they were of.
    """
    flow_runs = []
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        name = run.data.tags.get(LOCK_TAG)
        if name is None or not (file := lock_file(root, name)).is_file() or is_held(file):
            continue
        client.set_terminated(run.info.run_id, "KILLED")
        file.unlink(missing_ok=True)
        if flow_run := run.data.tags.get(FLOW_RUN):
            flow_runs.append(str(flow_run))
    return flow_runs


# The losses of a training that goes on, in its MLflow run.


class LiveLosses:
    """Logs a metrics stream into a run as it grows, each step once.

    Where to go on is asked of MLflow, so a run that is resumed after a kill, or a request that
    failed half way, repeats nothing and leaves nothing out.

    Args:
        run_id: The MLflow run.
        settings: Where MLflow is; from the environment when absent.
    """

    def __init__(self, run_id: str, settings: Settings | None = None) -> None:
        self._run_id, self._settings = run_id, settings
        self._last: float | None = None

    def __call__(self, stream: Path) -> None:
        """Log what is new in the stream; nothing where it isn't there yet.

        Raises:
            SetupError: MLflow can't be reached; the next call tries again.
        """
        settings = self._settings or Settings()
        known, self._last = self._last, None
        with explained(settings):
            run = Run(self._run_id, settings)
            last = run.last_step() if known is None else known
            new = records_after(stream, last)
            run.log_records(new)
        self._last = new[-1]["step"] if new else last
