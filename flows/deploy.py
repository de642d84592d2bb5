"""``temper deploy``: a run's evaluated model to a folder or an endpoint."""

import json
from pathlib import Path
from typing import Any

from flows.report import RunReport, find_report
from tasks.deploying.card import Release
from tasks.deploying.endpoint import Endpoint, deploy_endpoint
from tasks.deploying.folder import deploy_folder
from tasks.errors import DataError
from tasks.store.aws import region_of


def deploy_to_folder(run: str, out: Path | None) -> dict[str, Any]:
    """Write the model of a run to a new folder and return what there is now.

    Args:
        run: A run's id, or its folder.
        out: The new folder.

    Raises:
        DataError: No folder is named, or the run's weights are not here.
    """
    release = make_release(find_report(run))
    if out is None:
        raise DataError(
            "no folder is named.", where="temper deploy --to folder", fix="add --out FOLDER."
        )
    return {
        "folder": str(deploy_folder(release, out)),
        "weights_digest": release.model.digest,
        "verdict": release.verdict,
    }


def deploy_to_sagemaker(
    run: str, name: str | None, instance: str, image: str | None
) -> dict[str, Any]:
    """Put the model of a run behind an endpoint and return what there is now.

    Args:
        run: A run's id, or its folder.
        name: Of the endpoint.
        instance: Type of its machine.
        image: Container; AWS's vLLM when absent.
    """
    release = make_release(find_report(run))
    made = deploy_endpoint(release, Endpoint(name, instance, image, region_of()))
    return {**made, "weights_digest": release.model.digest, "verdict": release.verdict}


def make_release(report: RunReport) -> Release:
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
