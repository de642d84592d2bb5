"""Attempts at one training under SageMaker: found by name, made once, stopped."""

import time
from collections.abc import Callable
from itertools import count
from typing import Any

from tasks.errors import TrainingError
from tasks.store.aws import code_of, refusal
from tasks.training.sagemaker.calls import Calls

Described = dict[str, Any]

ENDED = ("Completed", "Failed", "Stopped")
STOPPING_PATIENCE_SECONDS = 300.0


class Attempts:
    """The service's own list of jobs is the truth about what has been submitted.

    Args:
        calls: SageMaker.
        naming: Key and attempt number to the job's name.
        poll_seconds: Between two looks at a job that is being stopped.
    """

    def __init__(
        self, calls: Calls, naming: Callable[[str, int], str], poll_seconds: float
    ) -> None:
        self._calls, self._naming, self._poll = calls, naming, poll_seconds

    def newest(self, key: str) -> tuple[int, Described | None]:
        """Return the attempt to look at and its description; None if it is still to be made.

        The number grows only after an attempt that failed or was stopped.
        """
        for attempt in count(1):
            found = self._settled(self._naming(key, attempt))
            if found is None or found["TrainingJobStatus"] not in ("Failed", "Stopped"):
                return attempt, found
        raise AssertionError("count() does not end")

    def described(self, name: str) -> Described | None:
        """Return what the service knows of a job; None if nothing.

        Raises:
            SetupError: AWS refuses the call.
            Unreachable: AWS does not answer; the job goes on.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._calls("describe_training_job", TrainingJobName=name)
        except (BotoCoreError, ClientError) as error:
            if _is_unknown(error):
                return None
            raise refusal(error, "looking for the job", name) from error

    def create(self, request: dict[str, Any]) -> None:
        """Submit a request; one whose name is taken is there already.

        Raises:
            SetupError: AWS refuses the request.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._calls("create_training_job", **request)
        except (BotoCoreError, ClientError) as error:
            # Sent before and not heard of, or by someone else a moment ago: it is there.
            if code_of(error) != "ResourceInUse":
                raise refusal(error, "submitting the job", request["TrainingJobName"]) from error

    def stop(self, name: str) -> None:
        """Ask for a job to be stopped; one that has ended stays as it is.

        Raises:
            SetupError: AWS refuses, and the job goes on.
        """
        from botocore.exceptions import ClientError

        try:
            self._calls("stop_training_job", TrainingJobName=name)
        except ClientError as error:
            found = self.described(name)
            if found is None or found["TrainingJobStatus"] not in (*ENDED, "Stopping"):
                raise refusal(error, "stopping the job", name) from error

    def _settled(self, name: str) -> Described | None:
        """Return the description once it isn't just about to change from Stopping to Stopped."""
        deadline = time.monotonic() + STOPPING_PATIENCE_SECONDS
        while (found := self.described(name)) and found["TrainingJobStatus"] == "Stopping":
            if time.monotonic() > deadline:
                raise TrainingError(
                    "the job is still being stopped.", where=name, fix="run again in some minutes."
                )
            time.sleep(self._poll)
        return found


def _is_unknown(error: Exception) -> bool:
    text, code = str(error).lower(), code_of(error)
    absent = ("not found", "does not exist", "could not find")
    return code in ("ResourceNotFound", "ResourceNotFoundException") or (
        code == "ValidationException" and any(words in text for words in absent)
    )
