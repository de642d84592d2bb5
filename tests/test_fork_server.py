"""A forked process is as one that was started: streams, environment, exit code, and its end."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

TELLS = """
import json, os, sys
print(json.dumps([sys.argv, os.getcwd(), dict(os.environ), sys.stdin.read(), __name__]))
print("on the other", file=sys.stderr)
"""
WAITS = """
import os, pathlib, signal, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
time.sleep(600)
"""


def run(python: Path, *words: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *words], capture_output=True, text=True, **settings)


def test_it_has_its_own_words_folder_environment_and_streams(python: Path, tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "ONLY": "this"}
    done = run(python, "-c", TELLS, "a", "b c", cwd=tmp_path, env=env, input="said")
    argv, place, seen, said, name = json.loads(done.stdout)
    assert (argv, place, said, name) == (["-c", "a", "b c"], str(tmp_path), "said", "__main__")
    assert seen.items() >= env.items()
    assert "HOME" not in seen
    assert done.stderr == "on the other\n"


@pytest.mark.parametrize(
    ("code", "ended", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import atexit; atexit.register(print, 'at the end'); print('now')", 0, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, ""),
    ],
)
def test_it_ends_as_its_code_does(python: Path, code: str, ended: int, said: str) -> None:
    done = run(python, "-c", code)
    assert done.returncode == ended
    assert said in done.stderr
    if "atexit" in code:
        assert done.stdout == "now\nat the end\n"


def test_a_module_is_run_as_main(python: Path) -> None:
    assert run(python, "-m", "json.tool", input="[1]").stdout == "[\n    1\n]\n"


@pytest.mark.parametrize(
    ("how", "words", "code"),
    [
        (signal.SIGTERM, [], -signal.SIGTERM),
        (signal.SIGTERM, ["deaf"], 7),
        (signal.SIGKILL, [], -signal.SIGKILL),
    ],
)
def test_a_signal_reaches_it(
    python: Path, tmp_path: Path, how: int, words: list[str], code: int
) -> None:
    told = tmp_path / "pid"
    started = subprocess.Popen([python, "-c", WAITS, str(told), *words])
    while not (told.exists() and told.read_text()):
        time.sleep(0.01)
    started.send_signal(how)
    assert started.wait(60) == code
    while Path(f"/proc/{told.read_text()}").exists():
        time.sleep(0.01)


def test_what_is_not_for_it_is_done_by_the_ordinary_python(python: Path) -> None:
    assert "fork_server" not in run(python, "-X", "importtime", "-c", "pass").stderr
    fresh = run(python, "-I", "-c", "import sys; print('torch' in sys.modules)")
    assert fresh.stdout == "False\n"
