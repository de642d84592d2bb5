"""A SageMaker endpoint that serves the model by vLLM, tried out once it is up."""

import hashlib
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from configs.settings import Settings
from tasks.deploying.release import Release, model_files, verify
from tasks.deploying.serving import TAG, Requests, Serving, taken_back
from tasks.deploying.smoke import smoke
from tasks.errors import SetupError
from tasks.storage import home
from tasks.store.aws import Client, open_client
from tasks.store.places import S3Place, open_place

IMAGE = "763104351884.dkr.ecr.{region}.amazonaws.com/djl-inference:0.36.0-lmi18.0.0-cu128"
POLL_SECONDS = 15.0


class Endpoint(NamedTuple):
    """What is wished.

    Attributes:
        name: Of the endpoint; made of the weights' digest when None.
        instance: Type of the machine.
        image: Container; AWS's large-model one (vLLM inside) when None.
        region: AWS region.
    """

    name: str | None
    instance: str
    image: str | None
    region: str


def requests(release: Release, wish: Endpoint, artifact: str, role: str) -> Requests:
    """Return the three requests that make an endpoint, by operation; pure.

    Model and configuration are named by their content (weights, container, role, machine), so that
    one which is there under its name already is the one wished for.
    """
    image = wish.image or IMAGE.format(region=wish.region)
    environment = {
        "OPTION_ROLLING_BATCH": "vllm",
        "HF_MODEL_ID": "/opt/ml/model",
        "OPTION_TRUST_REMOTE_CODE": "false",
        "HF_HUB_OFFLINE": "1",
    }
    tags = [
        {"Key": TAG, "Value": release.model.digest},
        {"Key": "temper:run", "Value": release.run_id},
    ]
    container = {"Image": image, "ModelDataUrl": artifact, "Environment": environment}
    model = _named(release.model.digest, role, container)
    variant = {
        "VariantName": "all",
        "ModelName": model,
        "InstanceType": wish.instance,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": 900,
    }
    config = _named(variant)
    return {
        "CreateModel": {
            "ModelName": model,
            "ExecutionRoleArn": role,
            "Tags": tags,
            "PrimaryContainer": container,
        },
        "CreateEndpointConfig": {
            "EndpointConfigName": config,
            "Tags": tags,
            "ProductionVariants": [variant],
        },
        "CreateEndpoint": {
            "EndpointName": name_of(release, wish),
            "EndpointConfigName": config,
            "Tags": tags,
        },
    }


def _named(*content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return f"temper-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def name_of(release: Release, wish: Endpoint) -> str:
    """Return the endpoint's name: as wished, or the same for the same weights."""
    return wish.name or f"temper-{release.model.digest[:24]}"


def deploy_endpoint(
    release: Release,
    wish: Endpoint,
    clients: Callable[[str], Client] | None = None,
    poll_seconds: float = POLL_SECONDS,
) -> dict[str, str]:
    """Bring the model up as an endpoint, ask it one thing, and return its name and answer.

    An endpoint of that name which serves just this already is only asked; one of ours that serves
    something else is updated. What this call created is taken away again where it fails, since it
    would cost money; what was there before is served on.

    Returns:
        ``endpoint``, ``region``, ``answer``, and ``step``: ``create``, ``update`` or ``keep``.

    Raises:
        StorageError: The checkpoint isn't what was evaluated.
        SetupError: Role or store is not set, or AWS refuses.
        DeployError: The endpoint failed, with the service's reason, or may not be touched.
    """
    verify(release)
    opening = clients or (lambda service: open_client(service, wish.region))
    place, key = placed(release, wish.region)
    wanted = requests(release, wish, place.uri(key), _role())
    serving = Serving(opening("sagemaker"), wanted, poll_seconds)
    step = serving.step()
    if step != "keep":
        upload(release, wish.region)
    try:
        serving.make(step)
        serving.settle()
        answer = smoke(opening("sagemaker-runtime"), serving.name, poll_seconds)
    except BaseException as error:
        taken_back(serving, error)
        raise
    serving.label()
    return {"endpoint": serving.name, "region": wish.region, "answer": answer, "step": step}


def placed(release: Release, region: str) -> tuple[S3Place, str]:
    """Return the store, and the key of the model's archive there.

    Raises:
        SetupError: The store is a folder.
    """
    place = open_place(region=region)
    if not isinstance(place, S3Place):
        raise SetupError(
            "an endpoint reads from S3, and TEMPER_STORE is a folder.",
            where=place.uri(),
            fix="export TEMPER_STORE=s3://BUCKET/PREFIX",
        )
    return place, f"deployed/{release.model.digest[:32]}/model.tar.gz"


def upload(release: Release, region: str) -> str:
    """Put ``model.tar.gz`` in the store, once, and return its address."""
    place, key = placed(release, region)
    if key not in place.sizes(key):
        archive = home("packages", f"model-{release.model.digest[:32]}.tar.gz")
        archive.parent.mkdir(parents=True, exist_ok=True)
        _pack(model_files(release.model.path), archive)
        place.put(key, archive)
        archive.unlink()
    return place.uri(key)


def _role() -> str:
    role = Settings().sagemaker_role
    if not role:
        raise SetupError(
            "no role for the endpoint is set.",
            where="this environment",
            fix="export TEMPER_SAGEMAKER_ROLE=arn:aws:iam::ACCOUNT:role/NAME",
        )
    return role


def _pack(files: dict[str, Path], archive: Path) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for name, file in sorted(files.items()):
            tar.add(file, arcname=name)
