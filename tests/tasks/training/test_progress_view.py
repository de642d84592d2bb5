import pytest

from tasks.training import progress_view
from tasks.training.job import JobStatus
from tasks.training.progress_view import Pace, Views, described, percent

LATEST = {
    "step": 40,
    "loss": 1.25,
    "loss/a": 1.5,
    "validation/domain": 2.0,
    "memory": 3.2e9,
    "supervised_tokens_per_second": 350.4,
    "learning_rate": 1e-4,
    "grad_norm": 0.5,
    "time": 1.8e9,
    "tokens": 999,
}


def status(step=40, state="running", **more):
    return JobStatus(**{"state": state, "step": step, "steps": 120, "latest": LATEST, **more})


def test_a_running_job_is_shown_every_few_seconds_and_always_at_its_end(monkeypatch):
    now, seen = [0.0], []
    monkeypatch.setattr(progress_view.time, "monotonic", lambda: now[0])
    views = Views([lambda s: seen.append((now[0], s.state))], seconds=5)
    for second in range(12):
        now[0] = float(second)
        views(status())
    views(status(state="completed"))
    assert seen == [(0, "running"), (5, "running"), (10, "running"), (11, "completed")]


def test_a_view_that_fails_is_told_of_and_the_others_are_shown(monkeypatch):
    said, seen = [], []

    def broken(status):
        raise ConnectionError("no server" if status.step < 50 else "no answer")

    views = Views([broken, seen.append], seconds=0, warn=said.append)
    for step in (1, 2, 3, 50):
        views(status(step))
    assert len(seen) == 4
    assert [text.partition(": ")[2] for text in said] == [
        "ConnectionError: no server",
        "ConnectionError: no answer",
    ]


def test_a_look_says_where_the_job_stands():
    text = described(status(), left=150)
    for part in (
        "**running**, step 40 of 120",
        "loss 1.25",
        "loss/a 1.5",
        "validation/domain 2",
        "supervised tokens per second 350.4",
        "learning rate 0.0001",
        "grad norm 0.5",
        "memory 3.2 GB",
        "about 2 min left",
    ):
        assert part in text
    assert "999" not in text
    assert "left" not in described(status(state="completed"), left=0)
    assert described(status(0, latest={})) == "**running**, step 0 of 120"


@pytest.mark.parametrize(
    ("state", "step", "steps", "done"),
    [
        ("running", 30, 120, 25),
        ("running", 0, 0, 0),
        ("completed", 6, 12, 100),
        ("failed", 6, 12, 50),
    ],
)
def test_a_job_that_stopped_early_is_done(state, step, steps, done):
    assert percent(status(step, state, steps=steps)) == done


def test_what_is_left_is_told_from_the_steps_seen_since_the_first_look():
    pace = Pace()
    # Steps that were done before, by a job that is found again, say nothing of the pace.
    assert pace.left(status(100), now=10) is None
    assert pace.left(status(100), now=20) is None
    assert pace.left(status(110), now=30) == pytest.approx(20)
    assert pace.left(status(5), now=40) is None
    assert pace.left(status(10), now=45) == pytest.approx(110)
