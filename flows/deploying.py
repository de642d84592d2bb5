"""``temper deploy``: a run's evaluated model to a folder or an endpoint."""

import json
from pathlib import Path
from typing import Any

from flows.report import RunReport, find_report
from tasks.deploying.card import Release
from tasks.errors import DataError


def deployed(run: str, to: str, out: Path | None, endpoint: tuple[Any, str, Any]) -> dict[str, Any]:
    """Deploy the model of a run and return what there is now.

    Args:
        run: A run's id, or its folder.
        to: ``folder`` or ``sagemaker``.
        out: The new folder.
        endpoint: Name, instance type and container of an endpoint.
    """
    release = release_of(find_report(run))
    if to == "folder":
        from tasks.deploying.folder import deploy_folder

        if out is None:
            raise DataError(
                "no folder is named.", where="temper deploy --to folder", fix="add --out FOLDER."
            )
        return {
            "folder": str(deploy_folder(release, out)),
            "weights_digest": release.model.digest,
            "verdict": release.verdict,
        }
    from tasks.deploying.endpoint import Endpoint, deploy_endpoint
    from tasks.store.aws import region_of

    name, instance, image = endpoint
    made = deploy_endpoint(release, Endpoint(name, instance, image, region_of()))
    return {**made, "weights_digest": release.model.digest, "verdict": release.verdict}


def release_of(report: RunReport) -> Release:
    """Return a run's model with its evidence.

    Raises:
        DataError: Its weights are not here.
    """
    if not report.trained.has_weights:
        raise DataError(
            "the weights of this run's model stay with AWS.",
            where=report.trained.name,
            fix="deploy that model package by Bedrock or SageMaker.",
        )
    return Release(
        name=report.name,
        run_id=report.run_id,
        recipe_digest=report.recipe_digest,
        verdict=report.verdict,
        model=report.trained,
        evaluated=tuple(s.weights_digest for s in report.candidate_scores),
        lock=json.loads(report.lock.read_text()),
        gates=report.gates,
        base=report.metrics["base"],
        candidate=report.metrics["candidate"],
    )
