import json

import pytest

pytest.importorskip("torch")
from configs.backends import LocalBackend
from tasks.errors import TrainingError  # noqa: E402
from tasks.training.backends.local import LocalProcess, command  # noqa: E402
from tasks.training.progress_view import wait  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]
STEPS = 50


def trained(job, processes, home, monkeypatch, **backend):
    monkeypatch.setenv("TEMPER_HOME", str(home))
    backend = LocalBackend(threads=1, processes=processes, **backend)
    section = job.training.model_copy(update={"backend": backend})
    own = job.model_copy(update={"training": section, "folder": home / "jobs" / job.key[:32]})
    return wait(own, LocalProcess().submit(own))


def stream(checkpoint, name):
    return [json.loads(line) for line in (checkpoint.path / name).open()]


@pytest.mark.parametrize(
    ("method", "rows", "fields"),
    [
        # Two rows of the last step's four are missing, and of pairs all but one.
        ("sft", 4 * STEPS - 2, {}),
        ("dpo", 4 * 5 + 1, {"micro_batch_tokens": 64}),
    ],
)
def test_two_processes_take_the_steps_that_one_takes(
    make_mixture, make_training_job, tmp_path, monkeypatch, method, rows, fields
):
    job = make_training_job(make_mixture(method, rows), method=method, save_steps=100, **fields)
    one, two = (trained(job, n, tmp_path / str(n), monkeypatch) for n in (1, 2))
    ordered = [[sorted(r["rows"]) for r in stream(c, "rows.jsonl")] for c in (one, two)]
    assert ordered[0] == ordered[1]
    assert sum(len(rows) for rows in ordered[0]) == rows
    losses = [[r["loss"] for r in stream(c, "losses.jsonl")] for c in (one, two)]
    assert len(losses[0]) == job.steps
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    result = json.loads((two.path / "result.json").read_text())
    assert result["made_with"]["processes"] == 2


def test_sharding_that_is_not_obtained_is_an_error(
    mixture, make_training_job, tmp_path, monkeypatch
):
    with pytest.raises(TrainingError, match=r"fsdp was asked for, and the model is held whole"):
        trained(make_training_job(mixture), 2, tmp_path, monkeypatch, sharding="fsdp")


def test_one_process_needs_no_launcher():
    one, two = (" ".join(command(LocalBackend(processes=n), "job.json")) for n in (1, 2))
    assert "launcher" not in one
    assert "tasks.training.launcher 2" in two
    assert "tasks.training.launcher 1" in " ".join(
        command(LocalBackend(processes=1, sharding="fsdp"), "job.json")
    )
