"""A job's log as it comes: lines to ``trainer.log``, metrics records to ``losses.jsonl``."""

import json
from pathlib import Path
from typing import Any

from tasks.storage import write_text
from tasks.store.aws import code_of
from tasks.training.backends.sagemaker.attempts import Calls
from tasks.training.backends.sagemaker.request import MARK

GROUP = "/aws/sagemaker/TrainingJobs"


class LogTail:
    """Follows the log streams of one job; where it stopped is kept, so nothing comes twice."""

    def __init__(self, calls: Calls, name: str, folder: Path) -> None:
        self._calls, self._name, self._folder = calls, name, folder
        self._place = folder / f"log-{name}.json"
        kept = json.loads(self._place.read_text()) if self._place.is_file() else {}
        self._tokens: dict[str, str] = kept

    def catch_up(self) -> None:
        """Append what has come since; the log being shut to us doesn't end the watching.

        Raises:
            Unreachable: The service does not answer.
        """
        from botocore.exceptions import ClientError

        try:
            for stream in self._streams():
                self._read(stream)
        except ClientError as error:
            # The group is made with the first line of the account's first job.
            if code_of(error) != "ResourceNotFoundException" and "" not in self._tokens:
                self._tokens[""] = "refused"
                self._append("trainer.log", [f"(the log can't be read: {error})"])
        write_text(self._place, json.dumps(self._tokens))

    def _streams(self) -> list[str]:
        found = self._calls(
            "describe_log_streams", logGroupName=GROUP, logStreamNamePrefix=f"{self._name}/"
        )
        return [s["logStreamName"] for s in found["logStreams"]]

    def _read(self, stream: str) -> None:
        while True:
            token = self._tokens.get(stream)
            more = {"nextToken": token} if token else {}
            found = self._calls(
                "get_log_events",
                logGroupName=GROUP,
                logStreamName=stream,
                startFromHead=True,
                **more,
            )
            self._take([str(e["message"]) for e in found["events"]])
            self._tokens[stream] = found["nextForwardToken"]
            if not found["events"] or found["nextForwardToken"] == token:
                return

    def _take(self, lines: list[str]) -> None:
        self._append("trainer.log", [x for x in lines if not x.startswith(MARK)])
        records = [record_of(x) for x in lines]
        self._append("losses.jsonl", [json.dumps(r) for r in records if r])

    def _append(self, name: str, lines: list[str]) -> None:
        if lines:
            with (self._folder / name).open("a", encoding="utf-8") as stream:
                stream.write("".join(f"{line.rstrip()}\n" for line in lines))


def record_of(line: str) -> dict[str, Any] | None:
    """Return the metrics record that a log line carries; None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        found = json.loads(line.removeprefix(MARK))
    except json.JSONDecodeError:  # the service cuts lines over 256 KiB
        return None
    return found if isinstance(found, dict) and "step" in found else None
