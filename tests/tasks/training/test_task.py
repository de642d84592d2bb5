import json

import pytest

pytest.importorskip("torch")
from tasks.training.backends.local import LocalProcess  # noqa: E402
from tasks.training.task import wait_for_training  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]


def test_who_asked_is_given_the_metrics_stream_while_it_grows_and_when_it_is_whole(
    mixture, make_training_job
):
    job, seen = make_training_job(mixture), []

    def grown(stream):
        lines = stream.read_bytes().split(b"\n")[:-1] if stream.is_file() else []
        seen.append([json.loads(line)["step"] for line in lines])

    handle = LocalProcess().submit(job)
    checkpoint = wait_for_training.fn(job, handle, grown)
    assert len(seen) > 1
    assert seen[0] != seen[-1] == list(range(1, checkpoint.steps + 1))


def test_what_goes_wrong_with_showing_it_costs_no_training(mixture, make_training_job, caplog):
    def broken(stream):
        raise ConnectionError("MLflow is away")

    job = make_training_job(mixture)
    assert wait_for_training.fn(job, LocalProcess().submit(job), broken).steps == job.steps
    assert "MLflow is away" in caplog.text
