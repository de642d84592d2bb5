"""Calls to AWS that ride out what passes: throttling, renewed credentials, a lost connection."""

import random
import time
from collections.abc import Callable
from typing import Any

from tasks.errors import Unreachable
from tasks.store.aws import Client, Trouble, trouble

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
