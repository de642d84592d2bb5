"""AWS clients, and what their failures mean."""

import os
from typing import Any, Literal

from configs.settings import Settings
from tasks.errors import SetupError, TemperError

Client = Any
"""A boto3 client; the library ships no usable type for it."""

Trouble = Literal["throttled", "expired", "unreachable", "refused"]

_THROTTLED = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
        "PriorRequestNotComplete",
        "BandwidthLimitExceeded",
        "LimitExceededException",
    }
)
_EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRefreshRequired",
        "InvalidIdentityToken",
        "UnauthorizedSSOToken",
    }
)
_UNREACHABLE = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "500",
        "502",
        "503",
        "504",
    }
)


def region_of(wish: str | None = None) -> str:
    """Return the region to work in: as wished, else from the environment or the AWS profile.

    Raises:
        SetupError: None is set.
    """
    import boto3

    found = (
        wish
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or boto3.session.Session().region_name
    )
    if not found:
        raise SetupError(
            "no AWS region is set.",
            where="this environment",
            fix="set AWS_REGION, or region: in the recipe's backend.",
        )
    return str(found)


def open_client(service: str, region: str | None = None) -> Client:
    """Return a client whose own retries ride out short throttling and broken connections.

    A new session each time, so that credentials renewed meanwhile are read.
    """
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        user_agent_extra="temper",
    )
    session = boto3.session.Session()
    return session.client(service, region_name=region_of(region), config=config)


def code_of(error: Exception) -> str:
    """Return the service's code of an error; empty where it has none."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def trouble(error: Exception) -> Trouble:
    """Return what kind of trouble a failed call is in; ``refused`` when trying again is useless."""
    from botocore.exceptions import (
        BotoCoreError,
        ConnectionError,
        CredentialRetrievalError,
        HTTPClientError,
        SSOTokenLoadError,
        TokenRetrievalError,
        UnauthorizedSSOTokenError,
    )

    code = code_of(error)
    if code in _THROTTLED:
        return "throttled"
    login = (
        CredentialRetrievalError,
        SSOTokenLoadError,
        TokenRetrievalError,
        UnauthorizedSSOTokenError,
    )
    if code in _EXPIRED or isinstance(error, login):
        return "expired"
    lost = (ConnectionError, HTTPClientError) if isinstance(error, BotoCoreError) else OSError
    if code in _UNREACHABLE or (not code and isinstance(error, lost)):
        return "unreachable"
    return "refused"


def refusal(error: Exception, what: str, where: str) -> TemperError:
    """Return the paragraph for a call that AWS answered with no."""
    from botocore.exceptions import NoCredentialsError, PartialCredentialsError

    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SetupError(
            "there are no AWS credentials.",
            where="this environment",
            fix="log in (aws sso login, or aws configure) and try again.",
        )
    text = getattr(error, "response", {}).get("Error", {}).get("Message") or str(error)
    code = code_of(error)
    return SetupError(
        f"{what} failed: {f'{code}: ' if code else ''}{text}".rstrip(".") + ".",
        where=where,
        fix=_fix(code),
    )


def _fix(code: str) -> str:
    if code in ("AccessDenied", "AccessDeniedException", "403"):
        return "give the caller or the role that permission (infra/aws/policy.json has them all)."
    if code in ("NoSuchBucket", "404"):
        return "create the bucket, or correct TEMPER_STORE."
    if code in ("UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch"):
        return "the credentials are wrong; log in again."
    if code == "ResourceLimitExceeded":
        return "ask for a higher quota in Service Quotas, or take another instance type."
    return "mend what is named, and try again."


def endpoint_is_set() -> bool:
    """Return whether a stand-in for AWS is asked for by AWS_ENDPOINT_URL."""
    return bool(os.environ.get("AWS_ENDPOINT_URL"))


def store_setting() -> str:
    """Return TEMPER_STORE.

    Raises:
        SetupError: It isn't set.
    """
    place = Settings().store
    if not place:
        raise SetupError(
            "TEMPER_STORE isn't set.",
            where="this environment",
            fix="export TEMPER_STORE=s3://BUCKET/PREFIX (or a shared folder).",
        )
    return place
