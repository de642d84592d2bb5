"""The recipe's region is the one that S3 is called in."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.store.places import S3Store
from tasks.training.backends.sagemaker import jobs as module
from tasks.training.backends.sagemaker.jobs import SagemakerJobs
from tasks.training.backends.uploads import addresses
from tasks.training.job import TrainingJob


def test_a_recipe_that_names_its_region_needs_none_of_the_machine(
    make: Callable[..., TrainingJob], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", "arn:aws:iam::123456789012:role/temper-job")
    called = list[str]()

    def uploaded(job: TrainingJob, place: S3Store) -> dict[str, str]:
        called.append(place.client.meta.region_name)
        return addresses(job, place)

    monkeypatch.setattr(module, "upload", uploaded)
    monkeypatch.setattr(module, "refuse", lambda _: None)
    monkeypatch.setattr(module, "check_sagemaker", lambda *_: None)
    job, created = make(region="eu-west-1"), list[Any]()
    jobs = SagemakerJobs(job.training.backend)  # type: ignore[arg-type]
    jobs.attempts = SimpleNamespace(  # type: ignore[assignment]
        newest=lambda _: (1, None), create=lambda *_, **inputs: created.append(inputs["placed"])
    )
    jobs.submit(job)
    assert called == ["eu-west-1"]
    assert [placed.region for placed in created] == ["eu-west-1"]
