"""One suite put to one model, or its scores found from before."""

from pathlib import Path
from typing import Any

from configs.metrics import Metric
from configs.suites.base import ORIGIN_FIELDS
from configs.suites.union import Suite
from tasks.artifacts import LocalModel
from tasks.code_digest import code_digest
from tasks.errors import EvaluationError
from tasks.evaluation.items import (
    EvalContext,
    HasMetrics,
    ItemRow,
    SuiteRunner,
    count_truncated,
    describe_protocol,
    fingerprint,
    items_digest,
    write_items,
)
from tasks.evaluation.registry import open_suite
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Engine, no_room
from tasks.models.cache import Cached
from tasks.models.factory import Evaluated, open_model, title
from tasks.progress import Progress
from tasks.scores import SuiteScores
from tasks.storage import building, commit, find, home, stage_key


def evaluate(
    suite: Suite, model: Evaluated, context: EvalContext, progress: Progress | None = None
) -> SuiteScores:
    """Return the model's scores on the suite, computed now or found whole from before.

    The key holds the suite's section, the items' content, what decides the model's answers,
    split and code; never a path or a model's name. Answers are kept as they come, so that an
    evaluation that was stopped goes on, and one whose scoring changed asks the model nothing.

    Args:
        suite: The section.
        model: Prepared, a checkpoint, or the section of a model that is served.
        context: Split, seed, dtype and sources.
        progress: Called with answers given and their number.

    Raises:
        EvaluationError: The suite has no items, they can't be used, or the model can't do what
            the suite asks.
        SetupError: Questions or model aren't on this machine.
    """
    runner, engine = open_suite(suite, context), open_model(model, context.dtype)
    _refuse_blind(suite, runner, engine, title(model))
    _refuse_full(suite, runner, engine)
    weights = model.digest if isinstance(model, LocalModel) else engine.digest
    return score_suite((suite, runner), (engine, weights), context, progress)


def score_suite(
    opened: tuple[Suite, SuiteRunner],
    model: tuple[Engine, str],
    context: EvalContext,
    progress: Progress | None = None,
) -> SuiteScores:
    """Return an engine's scores on an opened suite, computed now or found whole from before.

    Args:
        opened: The section and its items.
        model: The engine, and the digest of the weights behind it.
        context: Split and seed.
        progress: Called with answers given and their number.
    """
    (suite, runner), (engine, weights) = opened, model
    folder = home("scores", _key(suite, runner, engine, context))
    known = find(folder, SuiteScores)
    if known is not None:
        # Metrics come from the stored answers, so that a new one costs no inference.
        table = _table(suite, runner)
        metrics = estimate_all(known.items, table)
        return known.model_copy(update={"metrics": metrics, "about": table})
    rows = runner.run(Cached(engine), progress)
    made = {
        **engine.about,
        "items": runner.content,
        "split": context.split,
        "seed": context.seed,
        "code": code_digest(__name__),
    }
    return _stored(folder, suite, runner, rows, {"made": made, "weights_digest": weights})


def _table(suite: Suite, runner: SuiteRunner) -> dict[str, Metric]:
    return runner.metrics() if isinstance(runner, HasMetrics) else suite.metric_table()


def _key(suite: Suite, runner: SuiteRunner, engine: Engine, context: EvalContext) -> str:
    section = suite.model_dump(mode="json", exclude=set(ORIGIN_FIELDS))
    return stage_key(
        "evaluation",
        {
            "suite": section,
            "items": runner.content,
            "split": context.split,
            "model": engine.digest,
        },
        __name__,
    )


def _stored(
    folder: Path, suite: Suite, runner: SuiteRunner, rows: list[ItemRow], about: dict[str, Any]
) -> SuiteScores:
    """Write the per-item table and commit the scores; those with errors stand aside.

    Another run doesn't find the latter: it asks again for the items that weren't answered.
    """
    errors = sum(row.error is not None for row in rows)
    if errors:
        folder = folder.with_name(f"{folder.name}-partial-{items_digest(rows)[:8]}")
    with building(folder) as aside:
        items = aside / "items.parquet"
        write_items(items, suite.name, rows, runner.labels)
        return commit(
            aside,
            _scores(suite, runner, rows, items).model_copy(
                update={**about, "path": folder, "errors": errors, **count_truncated(rows)}
            ),
        )


def _refuse_blind(suite: Suite, runner: SuiteRunner, engine: Engine, name: str) -> None:
    if runner.needs == "log_probs" and not engine.log_probs:
        raise EvaluationError(
            f"suite '{suite.name}' ({suite.kind}) needs log-probabilities, and the model '{name}' "
            "gives answers only.",
            where=f"evaluation.suites.{suite.name}",
            fix="evaluate the weights themselves, or take the suite out for this model.",
        )


def _refuse_full(suite: Suite, runner: SuiteRunner, engine: Engine) -> None:
    most = getattr(suite, "max_new_tokens", 0) if runner.needs == "answers" else 0
    if engine.positions is not None and most >= engine.positions:
        raise no_room(most, engine.positions, f"evaluation.suites.{suite.name}.max_new_tokens")


def _scores(suite: Suite, runner: SuiteRunner, rows: list[ItemRow], items: Path) -> SuiteScores:
    protocol = describe_protocol(suite, runner.labels)
    return SuiteScores(
        path=items.parent,
        digest=items_digest(rows),
        suite=suite.name,
        kind=suite.kind,
        fingerprint=fingerprint(protocol, rows),
        weights_digest="",
        protocol=protocol,
        metrics=estimate_all(items, _table(suite, runner)),
        about=_table(suite, runner),
    )
