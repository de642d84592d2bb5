"""From a judged run to a released model."""

from pydantic import BaseModel, ConfigDict

from flows.report import NOT_JUDGED, RunReport, find_report
from tasks.errors import DataError
from tasks.locks import locked
from tasks.storage import home
from tasks.tracking.registry import (
    Record,
    Release,
    champion_of,
    release_version,
    require_passing_record,
)


class Promotion(BaseModel):
    """What a promotion did.

    Attributes:
        release: The version that is now the champion.
        before: The champion until now; None where there was none.
        verdict: Of the run's gates.
        waiver: Why it was let through without a PASS; None where it had one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: Release
    before: Release | None
    verdict: str
    waiver: str | None


def promote(run: str, name: str | None = None, waiver: str | None = None) -> Promotion:
    """Make a run's checkpoint the champion, on its gates' evidence.

    Args:
        run: A run's id, the beginning of one, or its folder.
        name: Registered model; the name the recipe gives when absent.
        waiver: Reason for letting it through without a PASS; it is kept with the version.

    Raises:
        EvaluationError: The record doesn't speak for it; nothing is written.
        DataError: There is no such run, or the reason is blank.
    """
    if waiver is not None and not waiver.strip():
        raise DataError(
            "a waiver needs a reason.",
            where="--waive",
            fix="say why this model may be released without a PASS.",
        )
    report = find_report(run)
    target, record = name or report.registered_name, _make_record(report, waiver)
    # Two that promote at once would each prove themselves against the champion before the other.
    with locked(home("locks", "promote.lock")):
        before = champion_of(target)
        require_passing_record(record, before)
        release = release_version(target, record)
    return Promotion(release=release, before=before, verdict=record.verdict, waiver=record.waiver)


def _make_record(report: RunReport, waiver: str | None) -> Record:
    return Record(
        run_id=report.run_id,
        verdict=report.verdict if report.gates else NOT_JUDGED,
        candidate=report.trained.digest,
        gates=tuple(g.model_dump(mode="json") for g in report.gates),
        # A run that passed needs no excuse, and none is kept; one on dev items hasn't yet.
        waiver=None if report.verdict == "PASS" and _is_confirmed(report) else waiver,
    )


def _is_confirmed(report: RunReport) -> bool:
    return bool(report.gates) and all(gate.split != "dev" for gate in report.gates)
