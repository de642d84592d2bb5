"""Signals and kills of a run: it ends soon, with one line, and leaves no process behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
COMMAND = "from flows.cli import main; main()"
MARK = "TEMPER_TEST_RUN"
SECONDS = 8.0
"""What a machine that is busy with other tests may need for the five seconds that are promised."""
Fields = dict[str, Any]


@pytest.fixture(scope="module")
def recipe(tiny_fields: Fields, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe in many small steps, shared by two processes."""
    fields = deepcopy(tiny_fields)
    fields["mixture"] |= {"size": {"domain_epochs": 40}, "max_epochs": 100}
    backend = {"kind": "local", "threads": 1, "processes": 2}
    fields["training"] |= {"batch_rows": 2, "save_steps": 500, "backend": backend}
    path = tmp_path_factory.mktemp("interrupted") / "steps.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


class Started:
    """``temper`` as a process of its own, all of whose children can be told."""

    def __init__(self, place: Path, *args: str) -> None:
        self.home, self.mark = place / "home", f"{place.name}-{time.time_ns()}"
        env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
        env |= {
            "TEMPER_HOME": str(self.home),
            "PREFECT_HOME": str(place / "prefect"),
            "PYTHONPATH": str(ROOT),
            MARK: self.mark,
        }
        # A run in the background of a shell is born deaf to it, and so would its children be.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *args],
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def family(self) -> list[int]:
        """Return every living process that was started by it, wherever it went."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                ended = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if marked and not ended:
                found.append(int(folder.name))
        return found

    def await_training(self, processes: int) -> list[int]:
        """Wait until the training has taken a step; return its processes."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and self.process.poll() is None:
            if any(f.stat().st_size for f in self.home.glob("jobs/*/losses.jsonl")):
                children = [pid for pid in self.family() if pid != self.process.pid]
                if len(children) >= processes:
                    return children
            time.sleep(0.05)
        raise AssertionError(self.process.communicate()[1])

    def await_end_of_all(self) -> None:
        deadline = time.monotonic() + SECONDS
        while self.family():
            assert time.monotonic() < deadline, "a process was left behind"
            time.sleep(0.1)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    begun: list[Started] = []

    def starter(*args: str) -> Started:
        begun.append(Started(tmp_path, *args))
        return begun[-1]

    yield starter
    for one in begun:
        for pid in one.family():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_a_run_no_process_of_it_stays(
    start: Callable[..., Started], recipe: Path, number: signal.Signals
) -> None:
    run = start("run", str(recipe))
    # The launcher and its two.
    run.await_training(3)
    run.process.send_signal(number)
    _, err = run.process.communicate(timeout=60)
    run.await_end_of_all()
    if number == signal.SIGKILL:
        assert run.process.returncode == -signal.SIGKILL
        return
    assert run.process.returncode == 143
    assert "Traceback" not in err
    [line] = [line for line in err.splitlines() if "stopped" in line]
    assert line.startswith("stopped by SIGTERM: ")


def test_a_launcher_that_is_killed_takes_its_processes_with_it(
    start: Callable[..., Started], recipe: Path
) -> None:
    run = start("train", str(recipe))
    run.await_training(3)
    [handle] = run.home.glob("jobs/*/handle.json")
    os.kill(json.loads(handle.read_text())["pid"], signal.SIGKILL)
    _, err = run.process.communicate(timeout=120)
    run.await_end_of_all()
    assert run.process.returncode == 1
    assert "killed after step" in err


def test_nothing_that_a_run_opens_listens_beyond_this_machine(
    start: Callable[..., Started], recipe: Path
) -> None:
    run = start("train", str(recipe))
    run.await_training(3)
    addresses = {address for pid in run.family() for address in listening(pid)}
    assert addresses <= {"0100007F", "00000000000000000000000001000000"}


def listening(pid: int) -> set[str]:
    """Return the addresses that a process listens on, as the kernel writes them."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            name = os.readlink(link)
        except OSError:
            continue
        if name.startswith("socket:["):
            inodes.add(name[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].partition(":")[0])
    return found


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGTERM, 143)]
)
def test_a_signal_at_any_moment_gives_one_line_and_its_code(
    start: Callable[..., Started], recipe: Path, number: signal.Signals, code: int
) -> None:
    run = start("mix", str(recipe), "--json")
    while not run.home.exists():
        assert run.process.poll() is None
        time.sleep(0.01)
    run.process.send_signal(number)
    out, err = run.process.communicate(timeout=60)
    assert run.process.returncode == code, err
    assert json.loads(out)["error"]["kind"] == "interrupted"
    assert "Traceback" not in err
    run.await_end_of_all()
