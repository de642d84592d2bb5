"""A stand-in job's folder: request, state, and what was asked of it meanwhile."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.storage import write_text

TERMINAL = ("Completed", "Failed", "Stopped")


class JobFolder:
    """``request.json`` and ``state.json``; ``stop`` and ``interrupt`` are wishes.

    Whoever runs the job holds ``machine.lock``, so that one whose machine died is known.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name

    def ml(self, host: str) -> Path:
        """Return what is ``/opt/ml`` on a machine of the job."""
        return self.folder / host / "ml"

    def log(self, host: str) -> Path:
        """Return what a machine's container says."""
        return self.folder / f"{host}.log"

    @property
    def request(self) -> dict[str, Any]:
        """The CreateTrainingJob request."""
        found: dict[str, Any] = json.loads((self.folder / "request.json").read_text())
        return found

    @property
    def state(self) -> dict[str, Any]:
        """What the service would describe, times as seconds since 1970."""
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def move(self, status: str, secondary: str, message: str = "", **more: Any) -> None:
        """Change the job's status and note the transition."""
        path = self.folder / "state.json"
        known = self.state if path.is_file() else {"SecondaryStatusTransitions": []}
        now = time.time()
        transition = {"Status": secondary, "StartTime": now, "StatusMessage": message}
        state = {
            **known,
            "TrainingJobStatus": status,
            "SecondaryStatus": secondary,
            "LastModifiedTime": now,
            **more,
            "SecondaryStatusTransitions": [*known["SecondaryStatusTransitions"], transition],
        }
        write_text(path, json.dumps(state))

    def wants(self, wish: str) -> bool:
        """Return whether someone asked for that."""
        return (self.folder / wish).exists()

    def wish(self, wish: str) -> None:
        """Ask for ``stop`` or ``interrupt``."""
        (self.folder / wish).touch()

    def grant(self, wish: str) -> None:
        """Take a wish back once it is done."""
        (self.folder / wish).unlink(missing_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the machine's lock."""
        with (self.folder / "machine.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def machine_lives(self) -> bool:
        """Return whether something runs this job."""
        with (self.folder / "machine.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False
