"""Releases: versions of a registered MLflow model, and the aliases that only evidence moves.

A version stands for one set of weights. Each time it is released it gets one more tag, with the
gate record that speaks for it, and who released it when. ``champion`` is the version released last.
"""

import getpass
import json
import os
import platform
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.redaction import redact, redact_value
from configs.settings import Settings
from tasks.errors import DataError, EvaluationError
from tasks.tracking.mlflow_run import absent, connect, explained
from tasks.tracking.names import mlflow_model_name

CHAMPION = "champion"
HISTORY = "release."
"""What the tags of a version begin with that say how it was released; a number follows."""
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


def release_version(name: str, record: Record, settings: Settings | None = None) -> Release:
    """Register the run's weights as a version and make it the champion; only for what is proven.

    The same weights are the same version, however often they are released. Nothing that was
    written is changed: each release adds a tag ``release.N`` to its version, with its record, and
    when and by whom it was made.
    """
    settings = settings or Settings()
    if name != mlflow_model_name(name):
        raise DataError(
            "MLflow takes no registered model of that name.",
            where=f"registered model '{name}'",
            fix="give --name, or references.champion in the recipe, without / and :.",
        )
    with explained(settings):
        client = connect(settings)
        with absent():
            client.create_registered_model(name)
        found = _version_of(client, name, record.candidate)
        number = 1 + len(_history(client, name, found)) if found else 1
        file = f"gates-{name}-{number}.json"
        text = json.dumps(redact_value(record.model_dump(mode="json")), indent=1)
        client.log_text(record.run_id, text, f"release/{file}")
        if found is None:
            source = f"runs:/{record.run_id}/release"
            tags = {"weights": record.candidate}
            made = client.create_model_version(name, source, run_id=record.run_id, tags=tags)
            found = str(made.version)
        tag = json.dumps({"when": _now(), "who": _user(), **_tag(record, file)})
        client.set_model_version_tag(name, found, f"{HISTORY}{number:04d}", tag)
        client.set_registered_model_alias(name, CHAMPION, found)
        return _release(client.get_model_version(name, found))


def release_history(name: str, settings: Settings | None = None) -> list[dict[str, Any]]:
    """Return every release of a registered model, with its version, the oldest first."""
    settings = settings or Settings()
    with explained(settings):
        client = connect(settings)
        versions = client.search_model_versions(f"name = {_quoted(name)}")
        found = [
            {"version": str(v.version), **entry} for v in versions for entry in _entries(v.tags)
        ]
    return sorted(found, key=lambda entry: str(entry["when"]))


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


def _tag(record: Record, file: str) -> dict[str, Any]:
    """Return what a version's tag keeps of a record; the whole of it is a file of the run."""
    kept = ("metric", "rule", "against", "verdict", "reference_digest")
    gates: Any = [{k: g[k] for k in kept} for g in record.gates]
    if len(json.dumps(gates)) > TAG_LIMIT // 2:
        gates = {"gates": len(record.gates)}
    waiver = redact(record.waiver)[: TAG_LIMIT // 4] if record.waiver else None
    return {
        "run_id": record.run_id,
        "verdict": record.verdict,
        "waiver": waiver,
        "gates": gates,
        "see": f"release/{file}",
    }


def _history(client: Any, name: str, version: str) -> list[dict[str, Any]]:
    return _entries(client.get_model_version(name, version).tags)


def _entries(tags: dict[str, str]) -> list[dict[str, Any]]:
    return [json.loads(tags[key]) for key in sorted(tags) if key.startswith(HISTORY)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{platform.node()}"
    except (KeyError, OSError):  # a container's user may have no name
        return f"{os.getuid()}@{platform.node()}"


def _quoted(name: str) -> str:
    """Return a name as MLflow's filters take it."""
    return f'"{name}"' if "'" in name else f"'{name}'"


def _version_of(client: Any, name: str, weights: str) -> str | None:
    found = client.search_model_versions(f"name = {_quoted(name)}")
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
