"""What models behind Amazon's services have in common: how they are called and how they fail."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from configs.models import BedrockModel, SageMakerEndpoint
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.served.base import RemoteModel, Reply, TryAgain, Unanswerable, Wait
from tasks.models.served.openai import asked_fields, drawn_fields, read_reply

_HOPELESS = frozenset(
    {
        "AccessDeniedException",
        "ResourceNotFoundException",
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "AccessDenied",
    }
)
_PASSING = frozenset(
    {
        "ThrottlingException",
        "ModelTimeoutException",
        "InternalServerException",
        "ServiceUnavailableException",
        "ModelNotReadyException",
        "InternalFailure",
        "ServiceUnavailable",
        "InternalDependencyException",
        "ServiceQuotaExceededException",
        "ModelError",
        "ModelErrorException",
    }
)

OfAmazon = TypeVar("OfAmazon", bound=BedrockModel | SageMakerEndpoint)


class AmazonModel(RemoteModel[OfAmazon]):
    """A model that one of Amazon's services answers for.

    Args:
        spec: The section.
        wait: Called with the seconds to wait before another try.
        made: A client of the service, instead of one made from the section.
    """

    SERVICE: ClassVar[str]

    def __init__(self, spec: OfAmazon, wait: Wait | None = None, made: Any = None) -> None:
        super().__init__(spec, wait)
        self._client = made or client(self.SERVICE, spec)


def client(service: str, spec: BedrockModel | SageMakerEndpoint) -> Any:
    """Return a boto3 client; tries are counted here, so its own retries are off.

    Raises:
        SetupError: No region or credentials are configured.
    """
    from boto3.session import Session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(
        read_timeout=spec.timeout_s,
        max_pool_connections=spec.concurrency,
        retries={"total_max_attempts": 1},
    )
    try:
        # A session of its own: the shared one keeps the credentials it first found.
        return Session().client(service, region_name=spec.region, config=config)
    except BotoCoreError as error:
        raise SetupError(
            f"no client of {service} can be made: {error}",
            where=service,
            fix="set region: or AWS_REGION, and credentials.",
        ) from error


@contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn what boto3 raises into what passes, what is of one item, and what ends everything."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        ParamValidationError,
    )

    try:
        yield
    except ClientError as error:
        raise _sorted(error, where) from error
    except (NoCredentialsError, NoRegionError) as error:
        raise SetupError(
            f"{error}", where=where, fix="configure credentials and a region for boto3."
        ) from error
    except ParamValidationError as error:
        raise Unanswerable(str(error)) from error
    except BotoCoreError as error:
        raise TryAgain(f"{error}") from error


def _sorted(error: Any, where: str) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _HOPELESS:
        return SetupError(
            f"the service refuses: {error}",
            where=where,
            fix="check the name, the region and the permissions.",
        )
    if code in _PASSING or status == 429 or status >= 500:
        return TryAgain(str(error))
    return Unanswerable(str(error))


# SageMaker endpoints behind the seam: containers that take and give OpenAI chat messages.


class InvokedModel(AmazonModel[SageMakerEndpoint]):
    """A model behind ``InvokeEndpoint``."""

    SERVICE = "sagemaker-runtime"

    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the container's answer to one prompt."""
        fields = {**asked_fields(prompt), **drawn_fields(prompt, decoding), **self._spec.options}
        at = {"EndpointName": self._spec.endpoint}
        if self._spec.component:
            at["InferenceComponentName"] = self._spec.component
        with failures(self._spec.endpoint):
            reply = self._client.invoke_endpoint(
                **at,
                ContentType="application/json",
                Accept="application/json",
                Body=json.dumps(fields),
            )
            body = reply["Body"].read()
        return read_reply(body, decoding.stop, self._spec.endpoint)
