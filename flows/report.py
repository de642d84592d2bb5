"""What a pipeline run leaves behind, in the form ``temper run --json`` prints."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.artifacts import Checkpoint, MixtureReceipt
from tasks.errors import DataError
from tasks.scores import Estimate, GateResult, SuiteScores
from tasks.storage import home, write_text

Metrics = dict[str, Estimate]
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
        write_text(self.folder / "run.json", self.model_dump_json(indent=1))


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
        return RunReport.model_validate_json((folder / "run.json").read_text())
    runs = sorted(p for p in home("runs").glob("*/run.json") if p.parent.name.startswith(name))
    if len(runs) != 1:
        known = ", ".join(p.parent.name[:12] for p in sorted(home("runs").glob("*/run.json")))
        raise DataError(
            "there is no such run." if not runs else "more than one run begins like that.",
            where=name,
            fix=f"give one of: {known or '(there are no runs yet)'}.",
        )
    return RunReport.model_validate_json(runs[0].read_text())
