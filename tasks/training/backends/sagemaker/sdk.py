"""The SageMaker Python SDK, in this file alone: it makes the requests and sends them.

ModelTrainer makes the request of a training from the recipe, TrainingJob submits and stops. The SDK
is lent our own client, so that retries, time limits and the stand-in are the same for all calls,
and the dry run is the submission itself with a client that keeps the request.

Two things that ModelTrainer has no word for are written where it hands the request to the client:

- the job's name: it appends the time, and a job of such a name isn't found again by its training;
- the entry: with a ``SourceCode`` it uploads scripts of its own at every look, and they start ours
  as a child of a shell, which keeps the signal to stop from the trainer. Our code is a channel like
  the others, uploaded once for every version of it.

Describing a job is the client's own call: a watch asks for nothing that needs the SDK, and an
answer that the SDK can't read must not end it. Logs are followed by our own reader for the same
reason, which also knows how far it came.
"""

import logging
import os
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from configs.remote_backends import SagemakerBackend
from tasks.errors import SetupError
from tasks.store.aws import Client, region_of
from tasks.training.backends.sagemaker.request import (
    ENTRY,
    Placed,
    Request,
    environment,
    facts,
    job_name,
    metric_definitions,
    tags,
)
from tasks.training.job import TrainingJob

CHECKPOINTS = "/opt/ml/checkpoints"

VERSIONS = {
    "2.5": ("2.5.1", "py311"),
    "2.6": ("2.6.0", "py312"),
    "2.7": ("2.7.1", "py312"),
    "2.8": ("2.8.0", "py312"),
    "2.9": ("2.9.0", "py312"),
    "2.10": ("2.10.0", "py313"),
}
"""Version of PyTorch -> the tag of AWS's container, which never moves, and its Python."""

CONFIG = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
"""The SDK's own settings: it reports every call to AWS unless told not to."""

ENVIRONMENT = {
    # Defaults of this machine would change what the recipe asks for, and may have to be fetched.
    "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": os.devnull,
    "SAGEMAKER_USER_CONFIG_OVERRIDE": os.devnull,
    # It would ask IAM about the role whenever a request is made, dry runs included. The preflight
    # has asked already.
    "SAGEMAKER_VALIDATE_ROLE": "false",
}


def require_sdk() -> None:
    """Refuse where the SDK is absent, before anything is uploaded.

    Raises:
        SetupError: It isn't installed.
    """
    if find_spec("sagemaker") is None or find_spec("sagemaker.train") is None:
        raise SetupError(
            "the SageMaker Python SDK isn't installed.",
            where="this environment",
            fix="pip install 'temper-llm[aws]'",
        )


def image_of(backend: SagemakerBackend, region: str) -> str:
    """Return the URI of the job's container image: the recipe's, or AWS's own PyTorch container.

    Raises:
        SetupError: AWS serves no container of that version, or none that the SDK knows in the
            region.
    """
    if backend.image:
        return backend.image
    if backend.pytorch not in VERSIONS:
        raise SetupError(
            f"there is no container of PyTorch {backend.pytorch}.",
            where="training.backend.pytorch",
            fix=f"use one of {', '.join(VERSIONS)}; or give image:.",
        )
    require_sdk()
    from sagemaker.core import image_uris

    version, python = VERSIONS[backend.pytorch]
    try:
        uri = image_uris.retrieve(
            "pytorch",
            region,
            version=version,
            py_version=python,
            instance_type=backend.instance_type,
            image_scope="training",
        )
    except ValueError as error:
        raise SetupError(
            f"the SageMaker SDK knows no container of PyTorch {version} in {region}: {error}",
            where="training.backend.image",
            fix="give the image's URI.",
        ) from error
    return str(uri)


def planned_request(
    job: TrainingJob, backend: SagemakerBackend, placed: Placed, attempt: int
) -> Request:
    """Return what ``TrainingService.train`` would send; nothing is uploaded, asked or sent."""
    kept = RequestKeeper()
    TrainingService(kept, placed.region).train(job, backend, placed, attempt)
    return kept.request


class TrainingService:
    """Training jobs of one account and region: the calls of boto3's client, made by the SDK.

    Args:
        client: Sends the requests; a boto3 client, the stand-in, or one of a test's own.
        region: The environment's or the profile's when None.
    """

    def __init__(self, client: Client, region: str | None = None) -> None:
        self._client, self._region = client, region
        self._sender = _Sender(client)

    def train(
        self, job: TrainingJob, backend: SagemakerBackend, placed: Placed, attempt: int
    ) -> dict[str, Any]:
        """Submit a training by ModelTrainer; return the name of its job."""
        trainer, name = self._trainer(job, backend, placed, attempt), job_name(job.key, attempt)
        self._sender.job_name, self._sender.sent = name, False
        try:
            trainer.train(wait=False, logs=False)
        finally:
            self._sender.job_name = None
        if not self._sender.sent:
            # The SDK's telemetry returns from a `finally`, which swallows Ctrl-C.
            raise KeyboardInterrupt("broken off while the job was submitted")
        return {"TrainingJobName": name}

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        """Submit a request that ModelTrainer doesn't make, such as a serverless one."""
        session = self._boto_session
        from sagemaker.core.resources import TrainingJob as Resource
        from sagemaker.core.utils.code_injection.codec import transform

        self._sender.planned = request
        try:
            Resource.create(session=session, **transform(request, "CreateTrainingJobRequest"))
        finally:
            self._sender.planned = None
        return {"TrainingJobName": request["TrainingJobName"]}

    def describe_training_job(self, **request: Any) -> dict[str, Any]:
        """Return what the service knows of a job."""
        return dict(self._client.describe_training_job(**request))

    def stop_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        """Ask a job to stop."""
        session = self._boto_session
        from sagemaker.core.resources import TrainingJob as Resource

        Resource.get(training_job_name=TrainingJobName, session=session).stop()
        return {}

    @cached_property
    def _boto_session(self) -> Any:
        """A session of boto3 whose SageMaker client is the one we were lent."""
        require_sdk()
        os.environ.update(ENVIRONMENT)
        # What it can't do is raised; the rest would only get between what we print.
        for name in ("sagemaker", "sagemaker.config"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        import boto3.session

        session = boto3.session.Session(region_name=region_of(self._region))
        open_other = session.client

        def client(service_name: str, *args: Any, **options: Any) -> Client:
            if service_name == "sagemaker":
                return self._sender
            return _Unopened(lambda: open_other(service_name, *args, **options))

        session.client = client
        return session

    @cached_property
    def _session(self) -> Any:
        """The SDK's session, as ModelTrainer wants it."""
        boto_session = self._boto_session
        from sagemaker.core.helper.session_helper import Session

        return Session(
            boto_session=boto_session,
            sagemaker_client=self._sender,
            sagemaker_config=CONFIG,
            # Never written to; without a name the SDK would make a bucket.
            default_bucket="unused",
        )

    def _trainer(
        self, job: TrainingJob, backend: SagemakerBackend, placed: Placed, attempt: int
    ) -> Any:
        """Return the ModelTrainer of a training; what the recipe leaves unset stays unset."""
        session = self._session
        from sagemaker.core.config.config_manager import SageMakerConfig
        from sagemaker.core.training.configs import (
            CheckpointConfig,
            Compute,
            InputData,
            MetricDefinition,
            Networking,
            OutputDataConfig,
            RetryStrategy,
            StoppingCondition,
            Tag,
        )
        from sagemaker.train import ModelTrainer

        no_defaults = SageMakerConfig()
        no_defaults.resolve_value_from_config = lambda **_: None
        vpc = backend.vpc
        trainer = ModelTrainer(
            sagemaker_session=session,
            # The SDK reads its settings anew, half a second each, for all that a recipe leaves out.
            config_mgr=no_defaults,
            role=placed.role,
            base_job_name="temper",
            training_image=image_of(backend, placed.region),
            compute=Compute(
                instance_type=backend.instance_type,
                instance_count=backend.instance_count,
                volume_size_in_gb=backend.volume_gb,
                volume_kms_key_id=backend.volume_kms_key,
                keep_alive_period_in_seconds=backend.keep_alive_minutes * 60 or None,
                enable_managed_spot_training=backend.spot,
            ),
            stopping_condition=StoppingCondition(
                max_runtime_in_seconds=int(backend.max_runtime_hours * 3600),
                max_wait_time_in_seconds=backend.max_wait_seconds,
            ),
            networking=Networking(
                subnets=list(vpc.subnets) if vpc else None,
                security_group_ids=list(vpc.security_groups) if vpc else None,
                enable_network_isolation=backend.network_isolation,
                enable_inter_container_traffic_encryption=backend.encrypt_traffic,
            ),
            input_data_config=[
                InputData(channel_name=name, data_source=f"{uri.rstrip('/')}/")
                for name, uri in sorted(placed.channels.items())
            ],
            output_data_config=OutputDataConfig(
                s3_output_path=placed.output, kms_key_id=backend.kms_key, compression_type="GZIP"
            ),
            checkpoint_config=CheckpointConfig(s3_uri=placed.checkpoints, local_path=CHECKPOINTS),
            hyperparameters=facts(job),
            environment=environment(backend, placed),
            tags=[Tag(key=k, value=v) for k, v in tags(job, backend, attempt).items()],
        ).with_metric_definitions(
            [MetricDefinition(name=n, regex=r) for n, r in metric_definitions(job, backend)]
        )
        if backend.retries:
            trainer.with_retry_strategy(RetryStrategy(maximum_retry_attempts=backend.retries))
        return trainer


class _Sender:
    """The SageMaker client that the SDK is lent.

    Attributes:
        job_name: What the next job is to be called, which then gets our entry too; None to leave
            both as they are.
        planned: What the next request has to be; None where ModelTrainer makes it.
        sent: Whether the service has taken the last request.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self.job_name: str | None = None
        self.planned: Request | None = None
        self.sent = False

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        for tag in request.get("Tags", []):
            tag.setdefault("Value", "")  # the SDK leaves empty texts out
        if self.job_name is not None:
            request["TrainingJobName"] = self.job_name
            request["AlgorithmSpecification"]["ContainerEntrypoint"] = ENTRY
        if self.planned is not None and request != self.planned:
            differing = {
                k for k in {*request, *self.planned} if request.get(k) != self.planned.get(k)
            }
            raise SetupError(
                f"the SageMaker SDK would send other {', '.join(sorted(differing))} than planned.",
                where=self.planned["TrainingJobName"],
                fix="pip install 'temper-llm[aws]', which installs a version that is known.",
            )
        answer = dict(self._client.create_training_job(**request))
        self.sent = True
        return answer

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        # The SDK looks at a job after it has made it and before it stops it. An answer that it
        # can't read would make a job that runs look like one that was refused.
        return {"TrainingJobName": TrainingJobName}

    def stop_training_job(self, **request: Any) -> dict[str, Any]:
        return dict(self._client.stop_training_job(**request))


class _Unopened:
    """A client of another service: the SDK opens six of them for each session and calls none."""

    def __init__(self, opening: Callable[[], Client]) -> None:
        self._opening = opening

    @cached_property
    def _client(self) -> Client:
        return self._opening()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class RequestKeeper:
    """A client that keeps the request which it is to send."""

    def __init__(self) -> None:
        self.request: Request = {}

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        """Keep the request."""
        self.request = request
        return {}
