"""A container's output as CloudWatch log events."""

import time
from pathlib import Path

from tasks.store.aws import code_of, open_client
from tasks.training.backends.sagemaker.logs import GROUP

BATCH = 500


class Log:
    """One machine's log stream."""

    def __init__(self, name: str, host: str) -> None:
        self._client = open_client("logs", "us-east-1")
        self._stream = f"{name}/{host}-{int(time.time() * 1000)}"
        self._read: int | None = None
        self._make("create_log_group", logGroupName=GROUP)
        self._make("create_log_stream", logGroupName=GROUP, logStreamName=self._stream)

    def follow(self, file: Path) -> None:
        """Send the whole lines that the file has got since."""
        with file.open("rb") as stream:
            stream.seek(self._read or 0)
            new = stream.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read = (self._read or 0) + len(whole)
        lines = [x for x in whole.decode(errors="replace").split("\n") if x.strip()]
        for start in range(0, len(lines), BATCH):
            now = int(time.time() * 1000)
            events = [{"timestamp": now, "message": x} for x in lines[start : start + BATCH]]
            self._client.put_log_events(
                logGroupName=GROUP, logStreamName=self._stream, logEvents=events
            )

    def _make(self, call: str, **names: str) -> None:
        from botocore.exceptions import ClientError

        try:
            getattr(self._client, call)(**names)
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise
