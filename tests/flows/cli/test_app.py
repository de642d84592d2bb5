"""What the decorator gives every command: its options, --json, errors and the exit code."""

import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from flows.cli import app as frame
from flows.cli.app import Answer
from tasks.errors import DataError


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A function that runs a command line of two commands made by the decorator."""
    monkeypatch.setattr(frame, "app", typer.Typer())

    @frame.command("say-it")
    def say(word: str, times: int = 1) -> Answer:
        """Say a word."""
        if times < 0:
            raise DataError("that is no number of times.", where="--times", fix="give 1 or more.")
        if times == 0:
            raise RuntimeError("a defect")
        return Answer({"said": [word] * times}, lambda: print(word * times), exit_code=times)

    @frame.command()
    def plain() -> Answer:
        """Say nothing of its own."""
        return Answer({"ok": True})

    assert say("hm").json == {"said": ["hm"]}
    assert list(inspect.signature(say).parameters) == ["word", "times"]

    return lambda *args: CliRunner().invoke(frame.app, list(args))


def test_an_answer_is_shown_and_its_code_is_the_exit_code(call: Callable[..., Any]) -> None:
    done = call("say-it", "ho", "--times", "3")
    assert (done.exit_code, done.stdout) == (3, "hohoho\n")


def test_json_is_one_object(call: Callable[..., Any]) -> None:
    done = call("say-it", "ho", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (1, {"said": ["ho"]})


def test_an_answer_without_a_view_is_shown_as_its_object(
    call: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    frame.Answer({"ok": True}).print(as_json=False)
    assert json.loads(capsys.readouterr().out) == {"ok": True}
    assert call("plain").exit_code == 0


def test_an_expected_error_is_told_with_its_code(call: Callable[..., Any]) -> None:
    done = call("say-it", "ho", "--times", "-1", "--json")
    assert done.exit_code == DataError.exit_code
    assert json.loads(done.stdout)["error"]["where"] == "--times"


def test_a_defect_is_told_with_its_traceback(
    call: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    done = call("say-it", "ho", "--times", "0", "--json")
    assert done.exit_code == 1
    assert "a defect" in json.loads(done.stdout)["error"]["message"]
    assert "Traceback" in done.stderr + capfd.readouterr().err


def test_python_m_runs_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "--help"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "reproduce" in done.stdout
