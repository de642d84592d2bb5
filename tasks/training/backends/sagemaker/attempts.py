"""Attempts at one training under SageMaker: found by name, made once, stopped."""

import random
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from tasks.errors import TrainingError, Unreachable
from tasks.store.aws import Client, Trouble, code_of, refusal, trouble

# Calls to AWS that ride out what passes: throttling, renewed credentials, a lost connection.

LONGEST_PAUSE_SECONDS = 60.0
LOGINS = 5
"""How often credentials are read again before the person is asked to log in."""


class Calls:
    """One service of AWS.

    Args:
        opening: Opens a client with the credentials as they are now.
        patience_s: Seconds for which the service may not answer.
        sleep: Waits that many seconds.
        clock: Seconds since some moment.
    """

    def __init__(
        self,
        opening: Callable[[], Client],
        patience_s: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._opening, self._patience = opening, patience_s
        self._sleep, self._clock = sleep, clock
        self._client: Client | None = None

    def __call__(self, operation: str, **request: Any) -> dict[str, Any]:
        """Return the answer; what the service refuses is raised as boto3 raises it.

        Raises:
            Unreachable: It did not answer for that long, or the credentials stay expired. The job
                goes on by itself.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        started, tries, expired = self._clock(), 0, 0
        while True:
            try:
                return dict(getattr(self._opened(), operation)(**request))
            except (BotoCoreError, ClientError, OSError) as error:
                kind = trouble(error)
                if kind == "refused":
                    raise
                tries, expired = tries + 1, expired + (kind == "expired")
                self._give_up_or_wait(error, kind, tries, expired, started)

    def _opened(self) -> Client:
        if self._client is None:
            self._client = self._opening()
        return self._client

    def _give_up_or_wait(
        self, error: Exception, kind: Trouble, tries: int, expired: int, started: float
    ) -> None:
        spent = self._clock() - started
        if kind == "expired" and expired >= LOGINS:
            raise Unreachable(
                f"the AWS credentials have expired ({error}).",
                where="this environment",
                fix="log in again and run again: the job goes on meanwhile and is found.",
            ) from error
        if spent > self._patience:
            raise Unreachable(
                f"AWS has not answered for {spent / 60:.0f} minutes (last: {error}).",
                where="training.backend.patience_minutes",
                fix="run again later: the job goes on meanwhile and is found.",
            ) from error
        # A new client reads renewed credentials and opens new connections.
        self._client = None if kind != "throttled" else self._client
        pause = min(LONGEST_PAUSE_SECONDS, 2.0 ** min(tries, 6))
        self._sleep(pause * (0.5 + random.random() / 2))


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

    def create(self, name: str, operation: str, **inputs: Any) -> None:
        """Submit by that call of the service; a job whose name is taken is there already.

        Args:
            name: The job's.
            operation: ``train`` or ``create_training_job``.
            inputs: What the call is given.

        Raises:
            SetupError: AWS refuses the request.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._calls(operation, **inputs)
        except (BotoCoreError, ClientError) as error:
            # Sent before and not heard of, or by someone else a moment ago: it is there.
            if code_of(error) != "ResourceInUse":
                raise refusal(error, "submitting the job", name) from error

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
