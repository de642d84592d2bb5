"""A SageMaker endpoint that serves the model by vLLM, tried out once it is up."""

import hashlib
import json
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from configs.settings import Settings
from tasks.deploying.card import Release, model_files, verify
from tasks.errors import SetupError, TemperError
from tasks.progress import report
from tasks.storage import home
from tasks.store.aws import Client, code_of, open_client, refusal, trouble
from tasks.store.places import S3Store, open_store

# A SageMaker endpoint by name: what is there, what a call made of it, and taking that back.


TAG = "temper:weights"
"""Tag that an endpoint of ours has: the digest of the weights it serves."""

SECONDS = 1800.0
_PASSING = ("throttled", "unreachable")
_UNDER_WAY = ("Creating", "Updating", "SystemUpdating", "RollingBack")

Step = Literal["create", "update", "keep"]
Requests = dict[str, dict[str, Any]]


def heading(found: dict[str, Any]) -> str:
    """Return the configuration that a described endpoint serves, or is being changed to."""
    pending = found.get("PendingDeploymentSummary") or found
    return str(pending.get("EndpointConfigName", ""))


class Serving:
    """An endpoint, and what is to be done with it so that it serves a configuration.

    Args:
        sagemaker: The service's client.
        wanted: Requests for model, configuration and endpoint, by operation.
        poll_seconds: Between two looks.
    """

    def __init__(self, sagemaker: Client, wanted: Requests, poll_seconds: float) -> None:
        self._client, self._wanted, self._poll = sagemaker, wanted, poll_seconds
        self.name = str(wanted["CreateEndpoint"]["EndpointName"])
        self.config = str(wanted["CreateEndpoint"]["EndpointConfigName"])
        self._former, self._arn = "", ""
        self._made = list[tuple[str, dict[str, str]]]()

    def look(self) -> dict[str, Any] | None:
        """Return what the service says of the endpoint; None where there is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return dict(self._client.describe_endpoint(EndpointName=self.name))
        except (BotoCoreError, ClientError) as error:
            if code_of(error) == "ValidationException" and "could not find" in str(error).lower():
                return None
            raise refusal(error, "DescribeEndpoint", self.name) from error

    def step(self) -> Step:
        """Return what has to be done.

        Raises:
            DeployError: An endpoint of that name is there that may not be touched: it is being
                changed, has failed, or isn't one of ours.
        """
        found = self.look()
        if found is None:
            return "create"
        status = found["EndpointStatus"]
        if heading(found) == self.config and status in ("InService", *_UNDER_WAY):
            return "keep"
        if status != "InService":
            raise DeployError(
                f"an endpoint of that name is there and is {status}.",
                where=self.name,
                fix=_settled(status, self.name),
            )
        if not self._ours(str(found["EndpointArn"])):
            raise DeployError(
                "an endpoint of that name is there that was not deployed by Temper "
                f"(it has no tag {TAG}).",
                where=self.name,
                fix="take another --name; this one was left as it is.",
            )
        self._former, self._arn = str(found["EndpointConfigName"]), str(found["EndpointArn"])
        return "update"

    def make(self, step: Step) -> None:
        """Create what is missing and start the change."""
        if step == "keep":
            return
        for operation in ("CreateModel", "CreateEndpointConfig"):
            if self._create(operation):
                named = {k: v for k, v in self._wanted[operation].items() if k.endswith("Name")}
                self._made.append((operation.replace("Create", "Delete"), named))
        if step == "update":
            self._switch(self.config)
            return
        # Noted first: an answer that is lost, or Ctrl-C, leaves a machine that costs money.
        self._made.append(("DeleteEndpoint", {"EndpointName": self.name}))
        if not self._create("CreateEndpoint"):
            self._made.pop()

    def settle(self) -> None:
        """Wait until the endpoint serves the configuration.

        Raises:
            DeployError: It fails, goes back to its former configuration, or takes too long.
        """
        deadline = time.monotonic() + SECONDS
        # A look right after the request may still show the state before it.
        time.sleep(self._poll if self._former else 0)
        while (found := self._polled())["EndpointStatus"] in _UNDER_WAY:
            report(f"endpoint {found['EndpointStatus']}", 0, 1)
            if time.monotonic() > deadline:
                raise DeployError(
                    f"the endpoint is {found['EndpointStatus']} after {SECONDS / 60:.0f} minutes.",
                    where=self.name,
                    fix="look at its log in CloudWatch.",
                )
            time.sleep(self._poll)
        if found["EndpointStatus"] != "InService" or heading(found) != self.config:
            reason = found.get("FailureReason") or self._ended(found)
            raise DeployError(
                str(reason), where=self.name, fix="mend the cause named and deploy again."
            )

    def label(self) -> None:
        """Give an updated endpoint the tags of what it serves now."""
        if self._former:
            tags = self._wanted["CreateEndpoint"]["Tags"]
            self._call("AddTags", ResourceArn=self._arn, Tags=tags)

    def take_back(self) -> str:
        """Take back what this call did, and nothing else; return what has become of it."""
        found, mine = self.look(), ("DeleteEndpoint", {"EndpointName": self.name}) in self._made
        if found is None:
            self._made = self._made[:-1] if mine else self._made
            self._delete()
            return "Nothing that costs money was left behind."
        if mine and heading(found) in (self.config, ""):
            self._delete()
            return "It was taken down."
        return self._left(found)

    def _left(self, found: dict[str, Any]) -> str:
        """Leave an endpoint that this call didn't create, back in what it served before."""
        status, serves = found["EndpointStatus"], heading(found)
        if self._former and status in _UNDER_WAY:
            return "The update can't be broken off; deploy again to see how it ended."
        if self._former and status == "InService" and serves == self.config:
            self._switch(self._former)
            return f"Its former configuration ({self._former}) is being put back."
        if status == "InService" and serves != self.config:
            self._made = [made for made in self._made if made[0] != "DeleteEndpoint"]
            self._delete()
        return f"The endpoint was left as it is ({status}, {serves})."

    def _delete(self) -> None:
        while self._made:
            operation, request = self._made[-1]
            self._call(operation, **request)
            self._made.pop()

    def _ours(self, arn: str) -> bool:
        tags = self._call("ListTags", ResourceArn=arn)["Tags"]
        return any(tag["Key"] == TAG for tag in tags)

    def _switch(self, config: str) -> None:
        # Retained: autoscaling may have added machines, and the traffic needs them still.
        self._call(
            "UpdateEndpoint",
            EndpointName=self.name,
            EndpointConfigName=config,
            RetainAllVariantProperties=True,
        )

    def _create(self, operation: str) -> bool:
        """Return whether it was made; False if it was there, which is the same: see its name."""
        try:
            self._call(operation, **self._wanted[operation])
        except TemperError as error:
            if "already exist" not in error.message:
                raise
            return False
        return True

    def _call(self, operation: str, **request: Any) -> dict[str, Any]:
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return dict(getattr(self._client, xform_name(operation))(**request) or {})
        except (BotoCoreError, ClientError) as error:
            raise refusal(error, operation, self.name) from error

    def _ended(self, found: dict[str, Any]) -> str:
        status = found["EndpointStatus"]
        if status != "InService":
            return f"the endpoint is {status}."
        return f"the endpoint serves {heading(found)} instead of {self.config}."

    def _polled(self) -> dict[str, Any]:
        """Return a look that a throttled or lost call doesn't end: the endpoint is well."""
        try:
            return self.look() or {"EndpointStatus": "gone"}
        except TemperError as error:
            cause = error.__cause__
            if not isinstance(cause, Exception) or trouble(cause) not in _PASSING:
                raise
            return {"EndpointStatus": _UNDER_WAY[0]}


def taken_back(serving: Serving, error: BaseException) -> None:
    """Take back what was done before an error, and say in it what has become of the endpoint.

    Raises:
        DeployError: What was made is still there, and costs money.
    """
    try:
        became = serving.take_back()
    except TemperError as second:
        first = error.message if isinstance(error, TemperError) else type(error).__name__
        raise DeployError(
            f"{first} What was made could not be taken back: {second.message}",
            where=serving.name,
            fix="see what is there, since it costs money: aws sagemaker "
            f"describe-endpoint --endpoint-name {serving.name}",
        ) from error
    if isinstance(error, TemperError):
        raise type(error)(
            error.message, where=error.where, fix=f"{error.fix} {became}".strip()
        ) from error


def _settled(status: str, name: str) -> str:
    if status in (*_UNDER_WAY, "Deleting"):
        return "wait until that has ended, and deploy again; it was left as it is."
    return (
        f"if nobody needs it, aws sagemaker delete-endpoint --endpoint-name {name}, "
        "and deploy again; it was left as it is."
    )


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


def placed(release: Release, region: str) -> tuple[S3Store, str]:
    """Return the store, and the key of the model's archive there.

    Raises:
        SetupError: The store is a folder.
    """
    place = open_store(region=region)
    if not isinstance(place, S3Store):
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


# One short question to an endpoint, to see that it answers.

TRIES = 5
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 16,
    "temperature": 0.0,
}


class DeployError(TemperError):
    """An endpoint that may not be touched, did not come up, or doesn't answer."""

    kind = "deploy"


def smoke(runtime: Client, name: str, pause_seconds: float) -> str:
    """Return what the endpoint answers to a short prompt.

    A throttled or lost call says nothing about the model, and is made again.

    Raises:
        DeployError: It answers with an error, or with nothing.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    for again in reversed(range(TRIES)):
        try:
            text = _asked(runtime, name)
        except (BotoCoreError, ClientError) as error:
            if not again or trouble(error) not in ("throttled", "unreachable"):
                raise _silent(name, error) from error
            time.sleep(pause_seconds)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise _silent(name, error) from error
        else:
            break
    if not text.strip():
        raise DeployError(
            "the endpoint answers with nothing.", where=name, fix="look at its log in CloudWatch."
        )
    return text


def _asked(runtime: Client, name: str) -> str:
    said = runtime.invoke_endpoint(
        EndpointName=name,
        ContentType="application/json",
        Accept="application/json",
        Body=json.dumps(ASKED),
    )
    return str(json.loads(said["Body"].read())["choices"][0]["message"]["content"])


def _silent(name: str, error: Exception) -> DeployError:
    return DeployError(
        f"the endpoint doesn't answer as it should: {error}",
        where=name,
        fix="look at its log in CloudWatch.",
    )
