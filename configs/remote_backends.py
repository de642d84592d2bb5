"""Where training runs when it isn't this machine: SageMaker, Nova, a Prefect work pool."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from configs.machines import has_local_disk, is_gpu
from configs.section import Section, rule_error

InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
KmsKey = Annotated[str, Field(pattern=r"^[a-zA-Z0-9:/_-]{1,2048}$")]
Tags = dict[str, str]

RESERVED_VARIABLES = re.compile(r"^(SM_|TEMPER_|AWS_|TRAINING_JOB_)")
"""What the container's environment has from the service or from us."""


class Network(Section):
    """The subnets and security groups that a job's machines are put in."""

    subnets: tuple[str, ...] = Field(min_length=1, max_length=16)
    security_groups: tuple[str, ...] = Field(min_length=1, max_length=5)


class MetricPattern(Section):
    """A number that the service reads out of the job's log lines."""

    name: str = Field(min_length=1, max_length=255)
    regex: str = Field(min_length=1, max_length=500, description="with one group: the number")

    @model_validator(mode="after")
    def _has_one_group(self) -> Self:
        try:
            groups = re.compile(self.regex).groups
        except re.error as error:
            raise rule_error(f"regex can't be read: {error}") from error
        if groups != 1:
            raise rule_error(f"regex has {groups} groups.", fix="put exactly the number in (...).")
        return self


class SagemakerBackend(Section):
    """A SageMaker training job. Bounds are those of CreateTrainingJob in the API reference."""

    kind: Literal["sagemaker"]
    instance_type: InstanceType
    instance_count: PositiveInt = Field(1, le=64)
    volume_gb: PositiveInt = Field(100, le=16_384)
    image: str | None = Field(None, max_length=255, description="else AWS's own PyTorch container")
    pytorch: str = Field("2.9", description="version of AWS's container")
    region: str | None = Field(None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    max_runtime_hours: PositiveFloat = Field(24, le=28 * 24)
    spot: bool = False
    max_wait_hours: PositiveFloat | None = Field(
        None, le=28 * 24, description="spot: running and waiting together; twice the runtime"
    )
    keep_alive_minutes: int = Field(0, ge=0, le=360, description="warm pool")
    kms_key: KmsKey | None = Field(None, description="for what the job writes to S3")
    volume_kms_key: KmsKey | None = None
    vpc: Network | None = None
    network_isolation: bool = False
    encrypt_traffic: bool = Field(False, description="between machines")
    tags: Tags = Field(default_factory=dict)
    metrics: tuple[MetricPattern, ...] = Field((), max_length=20)
    retries: int = Field(0, ge=0, le=30, description="by the service, after errors of its own")
    environment: dict[str, str] = Field(default_factory=dict)
    threads: PositiveInt | None = Field(None, description="CPU threads a process; all when absent")
    sharding: Literal["none", "fsdp"] = Field(
        "none", description="fsdp: weights and optimiser are split over the GPUs"
    )
    install: bool = Field(True, description="pip install what the trainer needs, first thing")
    patience_minutes: PositiveFloat = Field(30, description="how long AWS may not answer")
    dry_run: bool = Field(False, description="look and print; upload and submit nothing")

    @property
    def max_wait_seconds(self) -> int | None:
        """What StoppingCondition.MaxWaitTimeInSeconds is to be; None without spot."""
        if not self.spot:
            return None
        hours = self.max_wait_hours or min(2 * self.max_runtime_hours, 28 * 24)
        return int(hours * 3600)

    @model_validator(mode="after")
    def _spot_fits(self) -> Self:
        if self.max_wait_hours is not None and not self.spot:
            raise rule_error(
                "only spot jobs wait.",
                path=("max_wait_hours",),
                fix="set spot: true, or take max_wait_hours out.",
            )
        if self.spot and self.keep_alive_minutes:
            raise rule_error(
                "spot machines can't be kept warm.",
                path=("keep_alive_minutes",),
                fix="choose spot or keep_alive_minutes.",
            )
        if self.max_wait_hours is not None and self.max_wait_hours < self.max_runtime_hours:
            raise rule_error(
                f"{self.max_wait_hours:g} is less than max_runtime_hours "
                f"{self.max_runtime_hours:g}, and the wait includes the run.",
                path=("max_wait_hours",),
                fix="raise it, or lower max_runtime_hours.",
            )
        return self

    @model_validator(mode="after")
    def _machine_fits(self) -> Self:
        if self.volume_kms_key and has_local_disk(self.instance_type):
            raise rule_error(
                f"{self.instance_type} has a disk of its own, which the hardware encrypts, and "
                "takes no key.",
                path=("volume_kms_key",),
                fix="take volume_kms_key out.",
            )
        if self.instance_count > 1 and not is_gpu(self.instance_type):
            raise rule_error(
                f"{self.instance_type} has no GPU, and several such machines are slower than one.",
                path=("instance_count",),
                fix="set instance_count: 1.",
            )
        return self

    @model_validator(mode="after")
    def _sharding_fits(self) -> Self:
        if self.sharding == "fsdp" and not is_gpu(self.instance_type):
            raise rule_error(
                f"{self.instance_type} has no GPU to shard over.",
                path=("sharding",),
                fix="set sharding: none.",
            )
        return self

    @model_validator(mode="after")
    def _network_fits(self) -> Self:
        if self.network_isolation and self.install:
            raise rule_error(
                "a job that reaches nothing can't install packages.",
                path=("network_isolation",),
                fix="set install: false and an image that has what the trainer needs.",
            )
        return self

    @model_validator(mode="after")
    def _variables_fit(self) -> Self:
        if len(self.environment) > 90:
            raise rule_error("more than 90 variables.", path=("environment",), fix="fewer.")
        for key, value in self.environment.items():
            if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,511}", key):
                raise rule_error(
                    f"'{key}' can't be a variable.",
                    path=("environment",),
                    fix="letters, digits and _.",
                )
            if RESERVED_VARIABLES.match(key):
                raise rule_error(
                    f"{key} is set for the job.", path=("environment",), fix="take it out."
                )
            if len(value) > 512:
                raise rule_error(
                    f"{key} is over 512 characters.", path=("environment",), fix="shorten it."
                )
        check_tags(self.tags)
        return self


def check_tags(tags: Tags) -> None:
    """Refuse tags that the service would.

    Raises:
        PydanticCustomError: Over 45 of them (the service takes 50, and five are ours), the
            ``aws:`` prefix, or a character or length that the service doesn't take.
    """
    if len(tags) > 45:
        raise rule_error("more than 45.", path=("tags",), fix="fewer tags.")
    for key, value in tags.items():
        if key.lower().startswith("aws:"):
            raise rule_error(
                f"'{key}' begins with aws:, which only AWS may set.",
                path=("tags",),
                fix="name it otherwise.",
            )
        if not re.fullmatch(r"[\w\s.:/=+\-@]{1,128}", key) or not re.fullmatch(
            r"[\w\s.:/=+\-@]{0,256}", value
        ):
            raise rule_error(
                f"'{key}' has a character or length that tags can't have.",
                path=("tags",),
                fix="letters, digits, blanks and _.:/=+-@.",
            )


class WorkPoolBackend(Section):
    """A deployment run on a Prefect work pool whose workers sit on machines of yours."""

    kind: Literal["work_pool"]
    deployment: str = Field(
        "train-job/train-job", pattern=r"^[^/]+/[^/]+$", description="flow name / deployment name"
    )
    threads: PositiveInt | None = Field(None, description="CPU threads; all when absent")
    patience_minutes: PositiveFloat = Field(30, description="how long the server may not answer")
    dry_run: bool = Field(False, description="look and print; upload and submit nothing")
