"""Looks at an AWS account: calls that read and nothing else."""

from collections.abc import Callable
from typing import Any

from configs.settings import Settings
from tasks.store.aws import Client, code_of, open_client, region_of
from tasks.training.preflight.estimate import PreflightCheck

Opening = Callable[[str], Client]

NEEDED = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "ecr:BatchGetImage",
)
"""What the job's role has to be allowed."""

READS = {
    "sts": ("get_caller_identity",),
    "iam": ("get_role", "simulate_principal_policy"),
    "s3": ("head_bucket",),
    "service-quotas": ("list_service_quotas",),
    "sagemaker": ("describe_training_job", "list_training_jobs"),
}
"""Every call a look may make, by service."""


def opening(region: str | None) -> Opening:
    """Return what opens a client that can only read."""
    return lambda service: Reader(service, open_client(service, region_of(region)))


class Reader:
    """A client that refuses every call which isn't one of the reads."""

    def __init__(self, service: str, client: Client) -> None:
        self._service, self._client = service, client

    def __getattr__(self, call: str) -> Any:
        if call not in READS.get(self._service, ()):
            raise AttributeError(f"a look doesn't call {self._service}:{call}")
        return getattr(self._client, call)


def check_aws(
    region: str | None, open_: Opening, quota: tuple[str, int] | None
) -> list[PreflightCheck]:
    """Return what the account says: caller, role, bucket, and room for the machines.

    Args:
        region: Where the job would run.
        open_: Opens a client of a service.
        quota: Instance type (with its use) and number of machines; None where none are named.
    """
    steps: list[tuple[str, Callable[[], PreflightCheck]]] = [
        ("credentials", lambda: _caller(open_)),
        ("role", lambda: _role(open_)),
        ("bucket", lambda: _bucket(open_, region)),
    ]
    if quota is not None:
        steps.append(("quota", lambda: _quota(open_, *quota)))
    found = []
    for name, step in steps:
        found.append(_tried(name, step))
        if name == "credentials" and found[-1].state == "refused":
            break
    return found


def _tried(name: str, step: Callable[[], PreflightCheck]) -> PreflightCheck:
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    from tasks.errors import SetupError

    try:
        return step()
    except SetupError as error:
        return PreflightCheck(name=name, state="refused", says=error.message, fix=error.fix)
    except NoCredentialsError:
        return PreflightCheck(
            name=name,
            state="refused",
            says="there are no AWS credentials.",
            fix="log in (aws sso login, or aws configure).",
        )
    except (BotoCoreError, ClientError) as error:
        code = code_of(error)
        if name == "credentials":
            return PreflightCheck(
                name=name,
                state="refused",
                says=f"AWS doesn't know the caller: {error}",
                fix="log in again.",
            )
        # Not being allowed to look is no reason not to run.
        return PreflightCheck(
            name=name, state="unknown", says=f"it could not be looked at ({code or error})"
        )


def _caller(open_: Opening) -> PreflightCheck:
    found = open_("sts").get_caller_identity()
    return PreflightCheck(name="credentials", state="ok", says=f"{found['Arn']}")


def _role(open_: Opening) -> PreflightCheck:
    arn = Settings().sagemaker_role
    if not arn:
        return PreflightCheck(
            name="role",
            state="refused",
            says="no role for the job is set.",
            fix="export TEMPER_SAGEMAKER_ROLE=arn:aws:iam::ACCOUNT:role/NAME",
        )
    from botocore.exceptions import ClientError

    iam = open_("iam")
    try:
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except ClientError as error:
        if code_of(error) != "NoSuchEntity":
            raise
        return PreflightCheck(
            name="role",
            state="refused",
            says=f"there is no role {arn}.",
            fix="create it (infra/aws/stack.yaml) or correct TEMPER_SAGEMAKER_ROLE.",
        )
    if "sagemaker.amazonaws.com" not in str(role.get("AssumeRolePolicyDocument", "")):
        return PreflightCheck(
            name="role",
            state="refused",
            says=f"SageMaker may not assume {arn}.",
            fix="let sagemaker.amazonaws.com assume it (infra/aws/stack.yaml).",
        )
    if Settings().sagemaker_standin is not None:
        return PreflightCheck(
            name="role", state="ok", says=f"{arn} is there; the stand-in needs no more"
        )
    return _allowed(iam, arn)


def _allowed(iam: Client, arn: str) -> PreflightCheck:
    results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=list(NEEDED))
    denied = sorted(
        r["EvalActionName"] for r in results["EvaluationResults"] if r["EvalDecision"] != "allowed"
    )
    if denied:
        # Simulated without the bucket's name, a policy bound to one looks like a denial.
        return PreflightCheck(
            name="role",
            state="warn",
            says=f"{arn} may lack {', '.join(denied)} "
            "(allowed on some resources only, or not at all).",
            fix="compare it with infra/aws/policy.json.",
        )
    return PreflightCheck(name="role", state="ok", says=f"{arn} is allowed what a job needs")


def _bucket(open_: Opening, region: str | None) -> PreflightCheck:
    from botocore.exceptions import ClientError

    from tasks.store.places import S3Store, open_store

    place = open_store()
    if not isinstance(place, S3Store):
        return PreflightCheck(
            name="bucket",
            state="refused",
            says=f"TEMPER_STORE is {place.uri()}, a folder",
            fix="export TEMPER_STORE=s3://BUCKET/PREFIX",
        )
    try:
        found = open_("s3").head_bucket(Bucket=place.bucket)
    except ClientError as error:
        if code_of(error) not in ("404", "NoSuchBucket"):
            raise
        return PreflightCheck(
            name="bucket",
            state="refused",
            says=f"there is no bucket {place.bucket}.",
            fix="create it, or correct TEMPER_STORE.",
        )
    there, here = found.get("BucketRegion"), region_of(region)
    if there and there != here:
        return PreflightCheck(
            name="bucket",
            state="refused",
            says=f"{place.bucket} is in {there}, and the job would run in {here}.",
            fix=f"set region: {there}, or use a bucket in {here}.",
        )
    return PreflightCheck(name="bucket", state="ok", says=f"{place.uri()} in {there or here}")


def _quota(open_: Opening, name: str, count: int) -> PreflightCheck:
    client, token = open_("service-quotas"), None
    while True:
        more: dict[str, str] = {"NextToken": token} if token else {}
        page = client.list_service_quotas(ServiceCode="sagemaker", MaxResults=100, **more)
        for quota in page["Quotas"]:
            if quota["QuotaName"] == name:
                return _room(name, count, quota["Value"])
        token = page.get("NextToken")
        if not token:
            return PreflightCheck(name="quota", state="unknown", says=f"there is no quota '{name}'")


def _room(name: str, count: int, value: float) -> PreflightCheck:
    if value < count:
        return PreflightCheck(
            name="quota",
            state="refused",
            says=f"{name}: {value:g}, and {count} are asked for.",
            fix="ask for more in Service Quotas, or take another instance type.",
        )
    return PreflightCheck(name="quota", state="ok", says=f"{name}: {value:g}")
