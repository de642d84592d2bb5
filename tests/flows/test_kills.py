"""A process killed at any moment, or a disk that is full, costs time and nothing else."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ROWS = 6_000
COMMAND = "import sys; sys.argv[0] = 'temper'; from flows.cli import main; main()"


@pytest.fixture(scope="module")
def big_recipe(tiny_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe over some thousand rows, in small shards: there is something to break off."""
    folder = tmp_path_factory.mktemp("big")
    draw, fields = random.Random(5), deepcopy(tiny_fields)
    words = [line["review"] for line in _lines(fields["sources"][0]["path"])]
    words = " ".join(words).split()
    for source, keys in zip(
        fields["sources"], (("review", "category"), ("prompt", "completion")), strict=True
    ):
        rows = [
            {
                keys[0]: f"{i} " + " ".join(draw.choices(words, k=12)),
                keys[1]: draw.choice(["praise", "price", "delivery"]),
            }
            for i in range(ROWS)
        ]
        path = folder / f"{source['name']}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        source["path"] = str(path)
    fields["mixture"]["rows_per_shard"] = 256
    path = folder / "big.yaml"
    path.write_text(yaml.safe_dump(fields, sort_keys=False))
    return path


def _lines(path: str) -> list[Any]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def _start(python: Path, home: Path, *args: str) -> subprocess.Popen[str]:
    env = {k: v for k, v in os.environ.items() if k != "PREFECT_API_URL"}
    env |= {
        "TEMPER_HOME": str(home),
        "PREFECT_HOME": str(home.parent / "prefect"),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "160",
    }
    return subprocess.Popen(
        [python, "-c", COMMAND, *args],
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _answer(python: Path, home: Path, *args: str) -> tuple[Any, float]:
    began = time.monotonic()
    done = _start(python, home, *args, "--json")
    out, err = done.communicate(timeout=300)
    assert done.returncode == 0, err
    return json.loads(out), time.monotonic() - began


def _killed(python: Path, home: Path, after: float, *args: str) -> bool:
    """Start a command and kill it with all it started; return whether it was still running."""
    started = _start(python, home, *args)
    try:
        started.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.communicate()
        return True
    return False


def _whole(home: Path) -> dict[str, str]:
    """Return the folders that claim to be whole; each must have every file at its full size."""
    manifests = [m for m in home.glob("*/*/manifest.json") if not m.parent.name.startswith(".")]
    for manifest in manifests:
        for name, size in json.loads(manifest.read_text())["files"].items():
            assert (manifest.parent / name).stat().st_size == size, manifest
    return {str(m.parent.relative_to(home)): m.read_text() for m in manifests}


def _left_aside(home: Path) -> list[Path]:
    return [p for p in home.glob("*/.*") if p.is_dir()]


def _told(answer: Any) -> Any:
    """Return what a command says, without times and places."""
    if "digest" in answer:
        return answer["digest"], answer["rows"], answer["tokens"]
    return [
        {k: v for k, v in verdict.items() if k != "quarantine"} for verdict in answer["verdicts"]
    ]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kills", [1, pytest.param(8, marks=pytest.mark.long)])
@pytest.mark.parametrize("command", ["mix", "check"])
def test_a_command_killed_at_random_moments_ends_with_what_it_would_have_said(
    python: Path, big_recipe: Path, tmp_path: Path, command: str, kills: int
) -> None:
    expected, seconds = _answer(python, tmp_path / "calm" / "home", command, str(big_recipe))
    calm = _whole(tmp_path / "calm" / "home")
    moments = random.Random(17)
    broken_off = 0
    for number in range(kills):
        home = tmp_path / f"killed-{number}" / "home"
        after = moments.uniform(0.2, 1.0) * seconds
        broken_off += _killed(python, home, after, command, str(big_recipe))
        before = _whole(home)
        again, _ = _answer(python, home, command, str(big_recipe))
        assert _told(again) == _told(expected)
        now = _whole(home)
        # What was whole at the kill was used, not made again; nothing stays that is half made.
        assert {k: now[k] for k in before} == before
        assert set(now) == set(calm)
        assert _left_aside(home) == []
        shutil.rmtree(home.parent)
    assert broken_off > 0


def _mounted(script: str, folder: Path, size: str, env: dict[str, str]) -> Any:
    """Run a shell script with a small disk of its own mounted on a folder."""
    head = f"mount -t tmpfs -o size={size} none {folder} && "
    return subprocess.run(
        ["unshare", "-rm", "sh", "-c", head + script],
        text=True,
        timeout=400,
        capture_output=True,
        env={**os.environ, **env},
    )


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_full_disk_gets_one_paragraph_and_what_was_whole_goes_on(
    python: Path, big_recipe: Path, tmp_path: Path
) -> None:
    if shutil.which("unshare") is None or _mounted("true", tmp_path, "1m", {}).returncode:
        pytest.skip("a disk of its own can't be mounted here (unshare -rm)")
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    mix = f'{sys.executable} -c "{COMMAND}" mix {big_recipe}'
    check = mix.replace(" mix ", " check ") + " --json"
    env = {
        "PYTHONPATH": str(ROOT),
        "TEMPER_HOME": str(disk / "home"),
        "COLUMNS": "160",
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    # Enough room for the checks, and not for the mixture; then the same disk, made larger.
    script = (
        f"{check} >/dev/null; {mix} > {tmp_path}/said 2>&1; echo $? > {tmp_path}/code; "
        f"cp -r {disk}/home {kept}; mount -o remount,size=200m {disk} && {mix} --json"
    )
    done = _mounted(script, disk, "5500k", env)
    said = (tmp_path / "said").read_text()
    assert (tmp_path / "code").read_text().strip() == "1", said
    assert "the disk is full" in said
    assert "TEMPER_HOME" in said
    assert "Traceback" not in said
    assert done.returncode == 0, done.stderr
    assert _whole(kept)
    calm, _ = _answer(python, tmp_path / "calm" / "home", "mix", str(big_recipe))
    assert json.loads(done.stdout)["digest"] == calm["digest"]
