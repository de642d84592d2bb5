"""What a pipeline run leaves behind, in the form ``temper run --json`` prints."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.redaction import redact_value
from tasks.artifacts import Checkpoint, MixtureReceipt
from tasks.errors import DataError
from tasks.scores import Estimate, GateResult, SuiteScores
from tasks.storage import home, write_text

Metrics = dict[str, Estimate]
NOT_JUDGED = "not judged"
"""The verdict of a run whose recipe has no gates: nothing was asked of the model."""
Changes = dict[str, tuple[str, str]]
"""Dotted path of a recipe -> its value before and after, as text."""


class RunReport(BaseModel):
    """One finished pipeline run; kept as ``run.json`` in ``runs/<run_id>/``.

    Attributes:
        settings: The recipe's fields as dotted path -> text, secrets masked; empty for runs of
            before they were kept.
        ended: When, in seconds since 1970; 0 where it wasn't kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    run_id: str
    name: str
    recipe_digest: str
    verdict: str
    gates: tuple[GateResult, ...]
    metrics: dict[str, Metrics]
    scorecard: Path
    checkpoint: Path
    lock: Path
    base_scores: tuple[SuiteScores, ...]
    candidate_scores: tuple[SuiteScores, ...]
    mixture: MixtureReceipt
    trained: Checkpoint
    registered: str | None = None
    settings: dict[str, str] = {}
    ended: float = 0.0

    @property
    def registered_name(self) -> str:
        """Name of the registered model that its releases are versions of."""
        return self.registered or self.name

    @property
    def folder(self) -> Path:
        """The run's own folder."""
        return home("runs", self.run_id)

    def save(self) -> None:
        """Write ``run.json``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = redact_value(self.model_dump(mode="json"))
        write_text(self.folder / "run.json", json.dumps(record, indent=1))


def list_reports() -> list[RunReport]:
    """Return the reports of this machine's runs, the newest last."""
    found = [
        RunReport.model_validate_json(path.read_text()) for path in home("runs").glob("*/run.json")
    ]
    return sorted(found, key=lambda r: (r.ended, r.run_id))


def find_changes(before: RunReport, after: RunReport) -> Changes:
    """Return what differs between two runs' recipes: dotted path -> before and after.

    A field that one of the two doesn't have is an empty text there.
    """
    paths = sorted(before.settings.keys() | after.settings.keys())
    both = {p: (before.settings.get(p, ""), after.settings.get(p, "")) for p in paths}
    return {path: pair for path, pair in both.items() if pair[0] != pair[1]}


def find_champion_report(name: str) -> RunReport | None:
    """Return the report of the run whose model is the champion; None where none was released.

    Args:
        name: The registered model.

    Raises:
        DataError: The run isn't on this machine.
    """
    from tasks.tracking.registry import champion_of

    release = champion_of(name)
    if release is None:
        return None
    try:
        return find_report(release.run_id)
    except DataError as error:
        raise DataError(
            f"the champion of '{name}' is version {release.version} of run {release.run_id}, and "
            "that run isn't on this machine.",
            where="a gate against: champion",
            fix="run where it was made, or promote a run that is here.",
        ) from error


def map_metrics(scores: list[SuiteScores] | tuple[SuiteScores, ...]) -> Metrics:
    """Return every metric as ``suite/metric``."""
    return {f"{s.suite}/{name}": value for s in scores for name, value in s.metrics.items()}


def find_report(name: str) -> RunReport:
    """Return the report of a run given by id (or the beginning of one) or by folder.

    Raises:
        DataError: There is no such run, or more than one.
    """
    folder = Path(name)
    if (folder / "run.json").is_file():
        return _read_report(folder.resolve())
    runs = sorted(p for p in home("runs").glob("*/run.json") if p.parent.name.startswith(name))
    if len(runs) != 1:
        known = ", ".join(p.parent.name[:12] for p in sorted(home("runs").glob("*/run.json")))
        raise DataError(
            "there is no such run." if not runs else "more than one run begins like that.",
            where=name,
            fix=f"give one of: {known or '(there are no runs yet)'}.",
        )
    return _read_report(runs[0].parent)


def _read_report(folder: Path) -> RunReport:
    """Return a run's report; what it names in a home that was moved since is looked for there."""
    text = (folder / "run.json").read_text()
    report = RunReport.model_validate_json(text)
    old, new = report.scorecard.parents[2], folder.parents[1]
    if old == new or report.scorecard.exists():
        return report
    return RunReport.model_validate(_move(json.loads(text), f"{old}/", f"{new}/"))


def _move(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str) and value.startswith(old):
        return new + value.removeprefix(old)
    if isinstance(value, dict):
        return {key: _move(part, old, new) for key, part in value.items()}
    return [_move(part, old, new) for part in value] if isinstance(value, list) else value
