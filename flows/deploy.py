"""``temper deploy``: a run's evaluated model to a folder or an endpoint."""

import json
from pathlib import Path
from typing import Any

from flows.report import NOT_JUDGED, RunReport, find_report
from tasks.deploying.card import Release
from tasks.deploying.endpoint import Endpoint, deploy_endpoint
from tasks.deploying.folder import deploy_folder
from tasks.errors import DataError, EvaluationError
from tasks.store.aws import region_of


def deploy_to_folder(run: str, out: Path | None, waiver: str | None = None) -> dict[str, Any]:
    """Write the model of a run to a new folder and return what there is now.

    Args:
        run: A run's id, or its folder.
        out: The new folder.
        waiver: Why it is deployed without a PASS.

    Raises:
        DataError: No folder is named, or the run's weights are not here.
        EvaluationError: The run has no PASS, and no reason is given.
    """
    release = make_release(find_report(run), waiver)
    if out is None:
        raise DataError(
            "no folder is named.", where="temper deploy --to folder", fix="add --out FOLDER."
        )
    return {
        "folder": str(deploy_folder(release, out)),
        "weights_digest": release.model.digest,
        "verdict": release.verdict,
        "waiver": release.waiver,
    }


def deploy_to_sagemaker(
    run: str, name: str | None, instance: str, image: str | None, waiver: str | None = None
) -> dict[str, Any]:
    """Put the model of a run behind an endpoint and return what there is now.

    Args:
        run: A run's id, or its folder.
        name: Of the endpoint.
        instance: Type of its machine.
        image: Container; AWS's vLLM when absent.
        waiver: Why it is deployed without a PASS.

    Raises:
        EvaluationError: The run has no PASS, and no reason is given.
    """
    release = make_release(find_report(run), waiver)
    made = deploy_endpoint(release, Endpoint(name, instance, image, region_of()))
    return {
        **made,
        "weights_digest": release.model.digest,
        "verdict": release.verdict,
        "waiver": release.waiver,
    }


def make_release(report: RunReport, waiver: str | None = None) -> Release:
    """Return a run's model with its evidence.

    Args:
        report: The run's.
        waiver: Why it is deployed without a PASS; the model's card says it.

    Raises:
        DataError: Its weights are not here, or the reason is blank.
        EvaluationError: The run has no PASS, and no reason is given.
    """
    if waiver is not None and not waiver.strip():
        raise DataError(
            "a waiver needs a reason.",
            where="--waive",
            fix="say why this model may be deployed without a PASS.",
        )
    passed = report.verdict == "PASS" and bool(report.gates)
    if not passed and waiver is None:
        judged = f"{report.verdict}, not PASS" if report.gates else f"{NOT_JUDGED}: it has no gates"
        raise EvaluationError(
            f"the run's verdict is {judged}.",
            where=f"run {report.run_id}",
            fix="deploy a run that passed, or give --waive with a reason, which the card says.",
        )
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
        verdict=report.verdict if report.gates else NOT_JUDGED,
        # A run that passed needs no excuse, and none is kept.
        waiver=None if passed else waiver,
        model=report.trained,
        evaluated=tuple(s.weights_digest for s in report.candidate_scores),
        lock=json.loads(report.lock.read_text()),
        gates=report.gates,
        base=report.metrics["base"],
        candidate=report.metrics["candidate"],
    )
