"""An endpoint: made, updated, left alone, and what is taken back when it fails."""

import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tasks.deploying import endpoint as module
from tasks.deploying.card import Release
from tasks.deploying.endpoint import (
    TRIES,
    DeployError,
    Endpoint,
    deploy_endpoint,
    name_of,
    requests,
)
from tasks.errors import SetupError
from tasks.models.identity import weights_digest
from tasks.training.backends.sagemaker.standin.rules import problems

ROLE = "arn:aws:iam::123456789012:role/temper-job"
WISH = Endpoint("support-bot", "ml.g5.xlarge", None, "us-east-1")
LARGER = WISH._replace(instance="ml.g5.2xlarge")
STACK = Path(__file__).parents[3] / "infra" / "aws" / "stack.yaml"

Service = Any


def refused(message: str, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Any")


THROTTLED = refused("slow", "ThrottlingException")


@pytest.fixture
def uploaded() -> list[str]:
    """Digests of the weights that were uploaded."""
    return []


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, uploaded: list[str]) -> None:
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", ROLE)
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setattr(module, "upload", lambda release, _: uploaded.append(release.model.digest))


@pytest.fixture
def second(release: Release, tmp_path: Path) -> Release:
    """Another run's model: its weights are different."""
    from safetensors.numpy import load_file, save_file

    folder = tmp_path / "second"
    shutil.copytree(release.model.path, folder)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {n: w + 1 for n, w in weights.items()}, folder / "model.safetensors", {"format": "pt"}
    )
    digest = weights_digest(folder)
    model = release.model.model_copy(update={"path": folder, "digest": digest})
    return release._replace(model=model, run_id="s" * 32, evaluated=(digest,))


def deployed(release: Release, service: Service, wish: Endpoint = WISH) -> dict[str, str]:
    return deploy_endpoint(release, wish, service, poll_seconds=0)


def test_the_requests_are_ones_that_the_service_takes(release: Release) -> None:
    for operation, request in requests(release, WISH, "s3://b/m.tar.gz", ROLE).items():
        assert problems(request, operation) == []
    unnamed = WISH._replace(name=None)
    assert name_of(release, unnamed) == f"temper-{release.model.digest[:24]}"


@pytest.mark.parametrize("change", [{"instance": "ml.g6.xlarge"}, {"image": "own:1"}])
def test_another_machine_or_image_is_another_configuration(
    release: Release, change: dict[str, str]
) -> None:
    first = requests(release, WISH, "s3://b/m.tar.gz", ROLE)
    other = requests(release, WISH._replace(**change), "s3://b/m.tar.gz", ROLE)
    again = requests(release._replace(run_id="x" * 32), WISH, "s3://b/m.tar.gz", ROLE)
    config = "CreateEndpointConfig", "EndpointConfigName"
    assert first[config[0]][config[1]] != other[config[0]][config[1]]
    assert first[config[0]][config[1]] == again[config[0]][config[1]]


def test_other_weights_are_another_model(release: Release, second: Release) -> None:
    names = {
        requests(r, WISH, "s3://b/m.tar.gz", ROLE)["CreateModel"]["ModelName"]
        for r in (release, second)
    }
    assert len(names) == 2


def test_an_endpoint_is_tried_out_once_it_is_up(
    release: Release, service: Service, uploaded: list[str]
) -> None:
    made = deployed(release, service)
    assert made == {
        "endpoint": "support-bot",
        "region": "us-east-1",
        "step": "create",
        "answer": f"I am {release.model.digest}.",
    }
    assert service.changes() == ["create_model", "create_endpoint_config", "create_endpoint"]
    assert uploaded == [release.model.digest]


def test_one_that_serves_the_same_is_only_asked(
    release: Release, service: Service, uploaded: list[str]
) -> None:
    deployed(release, service)
    before = service.changes()
    assert deployed(release, service)["step"] == "keep"
    assert service.changes() == before
    assert uploaded == [release.model.digest]


def test_one_that_serves_another_model_is_updated(
    release: Release, second: Release, service: Service
) -> None:
    deployed(release, service)
    made = deployed(second, service)
    assert (made["step"], made["answer"]) == ("update", f"I am {second.model.digest}.")
    assert service.served("support-bot")["Tags"][0]["Value"] == second.model.digest
    assert service.endpoints["support-bot"]["tags"][0]["Value"] == second.model.digest
    update = next(r for c, r in service.calls if c == "update_endpoint")
    assert update["RetainAllVariantProperties"] is True


def test_a_retry_on_another_machine_is_on_that_machine(release: Release, service: Service) -> None:
    service.lacking.add("ml.g5.xlarge")
    with pytest.raises(DeployError, match=r"no capacity.*It was taken down"):
        deployed(release, service)
    assert (service.endpoints, service.configs, service.models) == ({}, {}, {})
    deployed(release, service, LARGER)
    assert service.machine(service.endpoints["support-bot"]["config"]) == "ml.g5.2xlarge"


def test_a_running_endpoint_moves_to_another_machine(release: Release, service: Service) -> None:
    deployed(release, service)
    assert deployed(release, service, LARGER)["step"] == "update"
    assert service.machine(service.endpoints["support-bot"]["config"]) == "ml.g5.2xlarge"
    assert len(service.models) == 1


def test_an_update_that_fails_leaves_the_former_model_served(
    release: Release, second: Release, service: Service
) -> None:
    deployed(release, service)
    service.lacking.add("ml.g5.2xlarge")
    with pytest.raises(DeployError, match=r"no capacity.*left as it is"):
        deployed(second, service, LARGER)
    assert service.served("support-bot")["Tags"][0]["Value"] == release.model.digest
    assert (len(service.models), len(service.configs)) == (1, 1)
    assert service.endpoints["support-bot"]["tags"][0]["Value"] == release.model.digest


def test_an_update_that_does_not_answer_is_put_back(
    release: Release, second: Release, service: Service
) -> None:
    deployed(release, service)
    service.silent.add("ml.g5.2xlarge")
    with pytest.raises(DeployError, match=r"doesn't answer as it should.*is being put back"):
        deployed(second, service, LARGER)
    assert service.served("support-bot")["Tags"][0]["Value"] == release.model.digest


def test_an_update_broken_off_is_waited_for_by_the_next_call(
    release: Release, second: Release, service: Service
) -> None:
    deployed(release, service)
    service.raising["describe_endpoint"] = [None, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        deployed(second, service)
    made = deployed(second, service)
    assert (made["step"], made["answer"]) == ("keep", f"I am {second.model.digest}.")


@pytest.mark.parametrize("broken", [KeyboardInterrupt(), refused("no", "ModelError")])
def test_what_was_there_outlives_a_call_that_ends_badly(
    release: Release, service: Service, broken: BaseException
) -> None:
    deployed(release, service)
    before = service.changes()
    service.raising["invoke_endpoint"] = [broken]
    with pytest.raises((KeyboardInterrupt, DeployError)):
        deployed(release, service)
    assert service.changes() == before


def test_what_was_made_is_taken_down_on_an_interrupt(release: Release, service: Service) -> None:
    service.raising["invoke_endpoint"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        deployed(release, service)
    assert (service.endpoints, service.configs, service.models) == ({}, {}, {})


def test_a_throttled_question_is_asked_again(release: Release, service: Service) -> None:
    lost = ReadTimeoutError(endpoint_url="https://runtime")
    service.raising["invoke_endpoint"] = [THROTTLED, lost]
    assert deployed(release, service)["step"] == "create"
    assert "support-bot" in service.endpoints


def test_one_that_is_throttled_for_good_is_an_error(release: Release, service: Service) -> None:
    service.raising["invoke_endpoint"] = [THROTTLED] * TRIES
    with pytest.raises(DeployError, match="ThrottlingException"):
        deployed(release, service)


def test_a_throttled_look_does_not_end_the_wait(release: Release, service: Service) -> None:
    service.raising["describe_endpoint"] = [None, THROTTLED]
    assert deployed(release, service)["step"] == "create"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"status": "Updating", "former": "temper-x"}, "is Updating.*wait until that has ended"),
        ({"status": "Deleting"}, "is Deleting.*wait"),
        ({"status": "Failed"}, "is Failed.*delete-endpoint --endpoint-name support-bot"),
        ({"tags": [{"Key": "team", "Value": "support"}]}, "not deployed by Temper"),
    ],
)
def test_one_that_may_not_be_touched_is_not(
    release: Release, second: Release, service: Service, state: dict[str, Any], said: str
) -> None:
    deployed(release, service)
    service.endpoints["support-bot"].update(state)
    before = service.changes()
    with pytest.raises(DeployError, match=said):
        deployed(second, service)
    assert service.changes() == before


def test_a_refused_endpoint_leaves_nothing_behind(release: Release, service: Service) -> None:
    service.raising["create_endpoint"] = [refused("no quota", "ResourceLimitExceeded")]
    with pytest.raises(SetupError, match=r"no quota.*Nothing that costs money was left"):
        deployed(release, service)
    assert (service.configs, service.models) == ({}, {})


def test_one_made_meanwhile_by_another_is_left_alone(
    release: Release, second: Release, service: Service
) -> None:
    deployed(second, service)
    there = service.endpoints.pop("support-bot")
    begin = service._begin

    def meanwhile(call: str, request: dict[str, Any]) -> None:
        begin(call, request)
        if call == "create_endpoint":
            service.endpoints["support-bot"] = there

    service._begin = meanwhile
    with pytest.raises(DeployError, match="instead of"):
        deployed(release, service)
    assert service.endpoints == {"support-bot": there}
    assert len(service.models) == 1


def test_what_cannot_be_taken_down_is_named(release: Release, service: Service) -> None:
    service.silent.add(WISH.instance)
    service.raising["delete_endpoint"] = [refused("not now", "ValidationException")]
    with pytest.raises(DeployError, match=r"doesn't answer.*could not be taken back.*not now"):
        deployed(release, service)


def test_an_empty_answer_is_none(release: Release, service: Service) -> None:
    service.said = " "
    with pytest.raises(DeployError, match="nothing"):
        deployed(release, service)


def test_whoever_submits_is_allowed_just_these_calls(
    release: Release, second: Release, service: Service
) -> None:
    deployed(release, service)
    service.silent.add(LARGER.instance)
    for wish in (WISH, LARGER, LARGER._replace(name="other", image="own:1")):
        with suppress(DeployError):
            deployed(second, service, wish)
    called = {"sagemaker:" + "".join(w.title() for w in c.split("_")) for c, _ in service.calls}
    policy = STACK.read_text().partition("Sid: TemperEndpoints")[2].partition("Resource:")[0]
    assert called == set(re.findall(r"sagemaker:\w+", policy))


def test_without_a_role_nothing_is_called(
    release: Release, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPER_SAGEMAKER_ROLE")
    with pytest.raises(SetupError, match="no role"):
        deployed(release, service)
    assert service.calls == []


def test_the_archive_is_uploaded_once(
    release: Release, temper_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.store.places import S3Store

    kept = dict[str, int]()
    monkeypatch.undo()
    monkeypatch.setenv("TEMPER_HOME", str(temper_home))
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setattr(S3Store, "sizes", lambda _, prefix: kept)
    monkeypatch.setattr(S3Store, "put", lambda _, key, file: kept.update({key: 1}))
    uri = module.upload(release, "eu-west-1")
    assert module.upload(release, "eu-west-1") == uri == f"s3://bucket/store/{next(iter(kept))}"
    assert len(kept) == 1
