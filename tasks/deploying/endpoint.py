"""A SageMaker endpoint that serves the model by vLLM, tried out once it is up."""

import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from configs.settings import Settings
from tasks.deploying.release import Release, model_files, verify
from tasks.errors import SetupError, TemperError
from tasks.progress import report
from tasks.storage import home
from tasks.store.aws import Client, code_of, open_client, refusal
from tasks.store.places import S3Place, open_place

IMAGE = "763104351884.dkr.ecr.{region}.amazonaws.com/djl-inference:0.36.0-lmi18.0.0-cu128"
SECONDS = 1800.0
POLL_SECONDS = 15.0
DONE = ("InService", "Failed")


class DeployError(TemperError):
    """An endpoint that did not come up, or doesn't answer."""

    kind = "deploy"


class Endpoint(NamedTuple):
    """What is wished.

    Attributes:
        name: Of model, configuration and endpoint; made of the weights' digest when None.
        instance: Type of the machine.
        image: Container; AWS's large-model one (vLLM inside) when None.
        region: AWS region.
    """

    name: str | None
    instance: str
    image: str | None
    region: str


def requests(release: Release, wish: Endpoint, artifact: str, role: str) -> dict[str, Any]:
    """Return the three requests that make an endpoint, by operation; pure."""
    name = name_of(release, wish)
    image = wish.image or IMAGE.format(region=wish.region)
    environment = {"OPTION_ROLLING_BATCH": "vllm", "HF_MODEL_ID": "/opt/ml/model",
                   "OPTION_TRUST_REMOTE_CODE": "false", "HF_HUB_OFFLINE": "1"}  # fmt: skip
    tags = [{"Key": "temper:weights", "Value": release.model.digest},
            {"Key": "temper:run", "Value": release.run_id}]  # fmt: skip
    return {
        "CreateModel": {
            "ModelName": name, "ExecutionRoleArn": role, "Tags": tags,
            "PrimaryContainer": {"Image": image, "ModelDataUrl": artifact,
                                 "Environment": environment},
        },
        "CreateEndpointConfig": {
            "EndpointConfigName": name, "Tags": tags,
            "ProductionVariants": [{
                "VariantName": "all", "ModelName": name, "InstanceType": wish.instance,
                "InitialInstanceCount": 1, "InitialVariantWeight": 1.0,
                "ContainerStartupHealthCheckTimeoutInSeconds": 900}],
        },
        "CreateEndpoint": {"EndpointName": name, "EndpointConfigName": name, "Tags": tags},
    }  # fmt: skip


def name_of(release: Release, wish: Endpoint) -> str:
    """Return the endpoint's name: as wished, or the same for the same weights."""
    return wish.name or f"temper-{release.model.digest[:24]}"


def deploy_endpoint(
    release: Release, wish: Endpoint, clients: Callable[[str], Client] | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, str]:  # fmt: skip
    """Bring the model up as an endpoint, ask it one thing, and return its name and answer.

    What is there under its name already is taken as it is. An endpoint that doesn't come up, or
    doesn't answer, is taken down, since it would cost money.

    Raises:
        StorageError: The checkpoint isn't what was evaluated.
        SetupError: Role or store is not set, or AWS refuses.
        DeployError: The endpoint failed; with the service's reason.
    """
    verify(release)
    role = Settings().sagemaker_role
    if not role:
        raise SetupError("no role for the endpoint is set.", where="this environment",
                         fix="export TEMPER_SAGEMAKER_ROLE=arn:aws:iam::ACCOUNT:role/NAME",
                         )  # fmt: skip
    opening = clients or (lambda service: open_client(service, wish.region))
    sagemaker, name = opening("sagemaker"), name_of(release, wish)
    for operation, request in requests(release, wish, upload(release), role).items():
        _create(sagemaker, operation, request)
    try:
        _await(sagemaker, name, poll_seconds)
        answer = smoke(opening("sagemaker-runtime"), name)
    except BaseException:
        sagemaker.delete_endpoint(EndpointName=name)
        raise
    return {"endpoint": name, "region": wish.region, "answer": answer}


def upload(release: Release) -> str:
    """Put ``model.tar.gz`` in the store, once, and return its address."""
    place = open_place()
    if not isinstance(place, S3Place):
        raise SetupError("an endpoint reads from S3, and TEMPER_STORE is a folder.",
                         where=place.uri(), fix="export TEMPER_STORE=s3://BUCKET/PREFIX",
                         )  # fmt: skip
    key = f"deployed/{release.model.digest[:32]}/model.tar.gz"
    if key not in place.sizes(key):
        archive = home("packages", f"model-{release.model.digest[:32]}.tar.gz")
        archive.parent.mkdir(parents=True, exist_ok=True)
        _pack(model_files(release.model.path), archive)
        place.put(key, archive)
        archive.unlink()
    return place.uri(key)


def smoke(runtime: Client, name: str) -> str:
    """Return what the endpoint answers to a short prompt.

    Raises:
        DeployError: It answers with an error, or with nothing.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    asked = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16,
             "temperature": 0.0}  # fmt: skip
    try:
        said = runtime.invoke_endpoint(
            EndpointName=name,
            ContentType="application/json",
            Accept="application/json",
            Body=json.dumps(asked),
        )
        found = json.loads(said["Body"].read())
        text = str(found["choices"][0]["message"]["content"])
    except (BotoCoreError, ClientError, ValueError, KeyError, IndexError) as error:
        raise DeployError(
            f"the endpoint doesn't answer as it should: {error}",
            where=name,
            fix="look at its log in CloudWatch; it was taken down.",
        ) from error
    if not text.strip():
        raise DeployError("the endpoint answers with nothing.", where=name,
                          fix="look at its log in CloudWatch; it was taken down.")  # fmt: skip
    return text


def _create(sagemaker: Client, operation: str, request: dict[str, Any]) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    call = {"CreateModel": "create_model", "CreateEndpointConfig": "create_endpoint_config",
            "CreateEndpoint": "create_endpoint"}[operation]  # fmt: skip
    try:
        getattr(sagemaker, call)(**request)
    except (BotoCoreError, ClientError) as error:
        there = "already exist" in str(error)
        if not (code_of(error) in ("ValidationException", "ResourceInUse") and there):
            raise refusal(error, operation, name_in(request)) from error


def name_in(request: dict[str, Any]) -> str:
    """Return the name that a request gives."""
    return str(next(v for k, v in request.items() if k.endswith("Name")))


def _await(sagemaker: Client, name: str, poll_seconds: float) -> None:
    deadline = time.monotonic() + SECONDS
    while (found := sagemaker.describe_endpoint(EndpointName=name))["EndpointStatus"] not in DONE:
        report(f"endpoint {found['EndpointStatus']}", 0, 1)
        if time.monotonic() > deadline:
            raise DeployError(f"the endpoint is {found['EndpointStatus']} after "
                              f"{SECONDS / 60:.0f} minutes.", where=name,
                              fix="look at its log in CloudWatch; it was taken down.")  # fmt: skip
        time.sleep(poll_seconds)
    if found["EndpointStatus"] == "Failed":
        raise DeployError(str(found.get("FailureReason", "the endpoint failed.")), where=name,
                          fix="mend the cause named and deploy again; it was taken down.",
                          )  # fmt: skip


def _pack(files: dict[str, Path], archive: Path) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name, file in sorted(files.items()):
            tar.add(file, arcname=name)
