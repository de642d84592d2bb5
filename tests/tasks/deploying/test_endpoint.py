"""An endpoint's requests against the service model, and what becomes of one that fails."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tasks.deploying import endpoint as module
from tasks.deploying.endpoint import DeployError, Endpoint, deploy_endpoint, name_of, requests
from tasks.deploying.release import Release
from tasks.errors import SetupError
from tasks.training.sagemaker.standin.rules import problems

ROLE = "arn:aws:iam::123456789012:role/temper-job"
WISH = Endpoint(None, "ml.g5.xlarge", None, "us-east-1")


class Service:
    """SageMaker and its runtime, as far as an endpoint needs them."""

    def __init__(self, *states: str, said: Any = None, there: bool = False) -> None:
        self.states, self.calls, self._there = list(states), list[tuple[str, Any]](), there
        self.said = {"choices": [{"message": {"content": "Hello."}}]} if said is None else said

    def __call__(self, _: str) -> "Service":
        return self

    def __getattr__(self, call: str) -> Any:
        def made(**request: Any) -> dict[str, Any]:
            self.calls.append((call, request))
            if self._there and call.startswith("create"):
                message = "Cannot create already existing endpoint"
                raise ClientError(
                    {"Error": {"Code": "ValidationException", "Message": message}}, call
                )
            return {}

        return made

    def describe_endpoint(self, **_: Any) -> dict[str, Any]:
        status = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {"EndpointStatus": status, "FailureReason": "no capacity"}

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self.calls.append(("invoke_endpoint", request))
        return {"Body": io.BytesIO(json.dumps(self.said).encode())}

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", ROLE)
    monkeypatch.setattr(module, "upload", lambda _: "s3://b/deployed/model.tar.gz")


def test_the_requests_are_ones_that_the_service_takes(release: Release) -> None:
    for operation, request in requests(release, WISH, "s3://b/m.tar.gz", ROLE).items():
        assert problems(request, operation) == []
    assert name_of(release, WISH) == f"temper-{release.model.digest[:24]}"


def test_an_endpoint_is_tried_out_once_it_is_up(release: Release) -> None:
    service = Service("Creating", "Creating", "InService")
    made = deploy_endpoint(release, WISH, service, poll_seconds=0)
    assert made["answer"] == "Hello."
    assert service.names() == ["create_model", "create_endpoint_config", "create_endpoint",
                               "invoke_endpoint"]  # fmt: skip


def test_one_that_is_there_already_is_taken_as_it_is(release: Release) -> None:
    made = deploy_endpoint(release, WISH, Service("InService", there=True), poll_seconds=0)
    assert made["endpoint"] == name_of(release, WISH)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (Service("Creating", "Failed"), "no capacity"),
        (Service("InService", said={"error": "x"}), "doesn't answer as it should"),
        (Service("InService", said={"choices": [{"message": {"content": " "}}]}), "nothing"),
    ],
)
def test_one_that_fails_is_taken_down_since_it_would_cost(
    release: Release, service: Service, said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        deploy_endpoint(release, WISH, service, poll_seconds=0)
    assert service.names()[-1] == "delete_endpoint"


def test_without_a_role_nothing_is_called(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPER_SAGEMAKER_ROLE")
    service = Service("InService")
    with pytest.raises(SetupError, match="no role"):
        deploy_endpoint(release, WISH, service)
    assert service.calls == []


def test_the_archive_is_uploaded_once(
    release: Release, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.store.places import S3Place

    kept = dict[str, int]()
    monkeypatch.undo()
    monkeypatch.setenv("TEMPER_HOME", str(temper_home))
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setattr(S3Place, "sizes", lambda _, prefix: kept)
    monkeypatch.setattr(S3Place, "put", lambda _, key, file: kept.update({key: 1}))
    uri = module.upload(release)
    assert module.upload(release) == uri == f"s3://bucket/store/{next(iter(kept))}"
    assert len(kept) == 1
