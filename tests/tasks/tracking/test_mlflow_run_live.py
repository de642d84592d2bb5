"""A growing metrics stream in an MLflow run: each step once, whatever happens in between."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.recipe import Recipe
from configs.settings import Settings
from tasks.errors import SetupError
from tasks.tracking import losses
from tasks.tracking.losses import records_after
from tasks.tracking.mlflow_run import LiveLosses

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("home"), MLFLOW_TRACKING_URI=None)


@pytest.fixture
def run_id(settings: Settings, recipe: Recipe) -> str:
    from tasks.tracking.mlflow_run import open_run

    return open_run(recipe, "name: x", settings=settings)


def record(step: int) -> str:
    found = {
        "step": step,
        "time": 1_700_000_000.5 + step,
        "loss": 3 / step,
        "loss/voc": 4 / step,
        "learning_rate": 1e-4,
        "grad_norm": 1.0,
        "tokens_per_second": 300.0,
        "memory": 1e9,
    }
    if step % 5 == 0:
        found["validation/domain"] = 2.0
    return json.dumps(found) + "\n"


def write(stream: Path, *steps: int) -> None:
    stream.write_text("".join(map(record, steps)))


def history(settings: Settings, run_id: str, key: str) -> list[Any]:
    from mlflow import MlflowClient

    return list(MlflowClient(settings.tracking_uri).get_metric_history(run_id, key))


def steps(settings: Settings, run_id: str, key: str = "train/loss") -> list[int]:
    return [m.step for m in history(settings, run_id, key)]


def test_each_step_is_logged_once_as_the_stream_grows(
    settings: Settings, run_id: str, tmp_path: Path
) -> None:
    stream = tmp_path / "losses.jsonl"
    live = LiveLosses(run_id, settings)
    live(stream)
    for last in (3, 3, 7):
        write(stream, *range(1, last + 1))
        live(stream)
    with stream.open("a") as more:
        more.write(record(8)[:20])
    live(stream)
    assert steps(settings, run_id) == list(range(1, 8))
    assert steps(settings, run_id, "train/validation/domain") == [5]
    for key in ("loss/voc", "learning_rate", "grad_norm", "tokens_per_second", "memory"):
        assert steps(settings, run_id, f"train/{key}") == list(range(1, 8))
    assert history(settings, run_id, "train/time") == []
    assert history(settings, run_id, "train/loss")[2].timestamp == 1_700_000_003_500


def test_a_process_that_comes_after_a_kill_goes_on_where_mlflow_stands(
    settings: Settings, run_id: str, tmp_path: Path
) -> None:
    stream = tmp_path / "losses.jsonl"
    write(stream, *range(1, 6))
    LiveLosses(run_id, settings)(stream)
    # The trainer was killed, too, and does steps 4 and 5 again.
    write(stream, *range(1, 4))
    after = LiveLosses(run_id, settings)
    after(stream)
    write(stream, *range(1, 10))
    after(stream)
    assert steps(settings, run_id) == list(range(1, 10))


def test_a_request_that_failed_after_all_is_not_repeated(
    settings: Settings, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    from tasks.tracking.mlflow_run import Run

    stream, send = tmp_path / "losses.jsonl", Run._send
    live = LiveLosses(run_id, settings)
    write(stream, 1, 2)
    live(stream)

    def cut_off(run: Run, metrics: Any) -> None:
        send(run, metrics)
        raise MlflowException("the answer was lost")

    monkeypatch.setattr(Run, "_send", cut_off)
    write(stream, 1, 2, 3)
    with pytest.raises(SetupError, match="the answer was lost"):
        live(stream)
    monkeypatch.undo()
    write(stream, 1, 2, 3, 4)
    live(stream)
    assert steps(settings, run_id) == [1, 2, 3, 4]


def test_a_step_is_never_divided_between_two_requests(
    settings: Settings, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.tracking import mlflow_run

    sent: list[list[Any]] = []
    monkeypatch.setattr(mlflow_run, "METRICS_A_BATCH", 20)
    monkeypatch.setattr(mlflow_run.Run, "_send", lambda _, metrics: sent.append(list(metrics)))
    write(tmp_path / "losses.jsonl", *range(1, 10))
    LiveLosses(run_id, settings)(tmp_path / "losses.jsonl")
    assert len(sent) > 2
    assert all(batch[-1].key == "train/loss" for batch in sent)
    where: dict[int, int] = {}
    for number, batch in enumerate(sent):
        assert len(batch) <= 20
        assert all(where.setdefault(m.step, number) == number for m in batch)
    assert list(where) == list(range(1, 10))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.integers(0, 10),
    st.sampled_from([1, 50, 1 << 16]),
)
def test_a_stream_with_steps_done_again_gives_each_once(
    ends: list[int], back: int, block: int
) -> None:
    """Each end is how far the trainer came before it went back some steps."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, patch.object(losses, "BLOCK", block):
        stream, last, taken = Path(folder) / "s.jsonl", 0.0, []
        begin = 1
        for end in ends:
            with stream.open("a") as out:
                out.write("".join(map(record, range(begin, end + 1))))
            new = [r["step"] for r in records_after(stream, last)]
            taken += new
            last = taken[-1] if taken else 0.0
            begin = max(1, max(begin - 1, end) - back + 1)
        assert taken == sorted(set(taken))
