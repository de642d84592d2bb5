"""One short question to an endpoint, to see that it answers."""

import json
import time
from typing import Any

from tasks.errors import TemperError
from tasks.store.aws import Client, trouble

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
