"""Releases: versions of a registered MLflow model, and the aliases that only evidence moves.

A version stands for one set of weights. It carries the gate record that speaks for it as a tag.
``challenger`` is the version last put forward, ``champion`` the one that was let through.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.settings import Settings
from tasks.errors import EvaluationError
from tasks.tracking.mlflow_run import absent, connect, explained

CHAMPION, CHALLENGER = "champion", "challenger"
TAG_LIMIT = 5000
"""Characters a version's tag may have."""


class Release(BaseModel):
    """A version of a registered model.

    Attributes:
        run_id: The run whose checkpoint it is.
        weights: Digest of that checkpoint.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    run_id: str
    weights: str


class Record(BaseModel):
    """What speaks for a release.

    Attributes:
        run_id: The run that judged it.
        verdict: Of all its gates.
        candidate: Digest of the weights put forward.
        gates: Each gate's outcome, with the digest of the weights it was compared with.
        waiver: Why it is let through without a PASS; None where it has one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    verdict: str
    candidate: str
    gates: tuple[dict[str, Any], ...]
    waiver: str | None = None


def champion_of(name: str, settings: Settings | None = None) -> Release | None:
    """Return the released version of a registered model, or None where there is none."""
    settings = settings or Settings()
    with explained(settings):
        return _aliased(connect(settings), name, CHAMPION)


def register_version(name: str, record: Record, settings: Settings | None = None) -> Release:
    """Register the run's weights as a version, with its record as tag, as the challenger.

    The same weights are the same version, however often they are put forward.
    """
    settings = settings or Settings()
    with explained(settings):
        client = connect(settings)
        with absent():
            client.create_registered_model(name)
        found = _version_of(client, name, record.candidate)
        if found is None:
            source = f"runs:/{record.run_id}/release"
            client.log_text(record.run_id, record.model_dump_json(indent=1), "release/gates.json")
            tags = {"weights": record.candidate}
            made = client.create_model_version(name, source, run_id=record.run_id, tags=tags)
            found = str(made.version)
        for key, value in _tags(record).items():
            client.set_model_version_tag(name, found, key, value)
        client.set_registered_model_alias(name, CHALLENGER, found)
        return _release(client.get_model_version(name, found))


def set_champion(release: Release, settings: Settings | None = None) -> None:
    """Move the alias champion to a version that was put forward."""
    settings = settings or Settings()
    with explained(settings):
        client = connect(settings)
        client.set_registered_model_alias(release.name, CHAMPION, release.version)
        client.delete_registered_model_alias(release.name, CHALLENGER)


def require_passing_record(record: Record, champion: Release | None) -> None:
    """Raise unless the record is a PASS that names both weights, the champion's where it must.

    Raises:
        EvaluationError: The verdict isn't PASS, no gate was judged, an outcome is of other weights
            than those put forward, or of another champion than the present one; and there is no
            reason given for letting it through all the same.
    """
    if record.waiver:
        return
    for wrong in (_unproven(record), _other_champion(record, champion)):
        if wrong:
            raise EvaluationError(
                wrong,
                where=f"run {record.run_id}",
                fix="train and judge anew (on evaluation.split: test), or give --waive with a "
                "reason.",
            )


def _unproven(record: Record) -> str:
    if not record.gates:
        return "the recipe has no gates, so nothing speaks for these weights."
    if record.verdict != "PASS":
        return f"the gates' verdict is {record.verdict}, not PASS."
    for gate in record.gates:
        if gate.get("split") == "dev":
            return f"{gate['metric']} was judged on dev items: chosen, not confirmed."
        if gate["candidate_digest"] != record.candidate:
            return f"the outcome of {gate['metric']} is of other weights than the run's checkpoint."
        if not gate["reference_digest"]:
            return f"the outcome of {gate['metric']} doesn't name the weights compared with."
    return ""


def _other_champion(record: Record, champion: Release | None) -> str:
    present = champion.weights if champion else None
    for gate in record.gates:
        if gate["against"] == CHAMPION and present not in (
            None,
            record.candidate,
            gate["reference_digest"],
        ):
            return f"{gate['metric']} was judged against another model than the present champion."
    return ""


def _tags(record: Record) -> dict[str, str]:
    gates = json.dumps(record.gates)
    if len(gates) > TAG_LIMIT:
        # The whole record is an artifact of the run; the tag keeps what decides, while it can.
        kept = ("metric", "rule", "against", "verdict", "reference_digest")
        gates = json.dumps([{k: g[k] for k in kept} for g in record.gates])
    if len(gates) > TAG_LIMIT:
        gates = json.dumps({"gates": len(record.gates), "see": "release/gates.json"})
    return {"gates": gates, "verdict": record.verdict, "waiver": record.waiver or ""}


def _version_of(client: Any, name: str, weights: str) -> str | None:
    found = client.search_model_versions(f"name = '{name}'")
    return next((str(v.version) for v in found if v.tags.get("weights") == weights), None)


def _aliased(client: Any, name: str, alias: str) -> Release | None:
    version = None
    with absent():
        version = client.get_model_version_by_alias(name, alias)
    return _release(version) if version else None


def _release(version: Any) -> Release:
    return Release(
        name=version.name,
        version=str(version.version),
        run_id=str(version.run_id),
        weights=version.tags.get("weights", ""),
    )
