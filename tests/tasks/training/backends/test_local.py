import json
import os
import random
import shutil
import signal
import time

import pytest

from configs.backends import LocalBackend
from configs.training import Lora
from tasks.errors import TrainingError
from tasks.training.backends.local import LocalProcess, latest_record
from tasks.training.progress_view import wait

pytest.importorskip("torch")
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked")]

STEPS = 12


@pytest.fixture
def job_of(make_training_job):
    def make(tiny_model, mixture, **fields):
        return make_training_job(mixture, **fields)

    return make


def train(job):
    return wait(job, LocalProcess().submit(job))


def test_a_job_killed_at_random_steps_goes_on_to_the_same_weights(
    make_training_job, mixture, monkeypatch, tmp_path
):
    whole = train(make_training_job(mixture))
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "other"))
    job = make_training_job(mixture)
    for step in sorted(random.Random(11).sample(range(1, STEPS - 3), 3)):
        handle = LocalProcess().submit(job)
        while latest_record(job.folder / "losses.jsonl").get("step", 0) < step:
            time.sleep(0.01)
        os.kill(handle.pid, signal.SIGKILL)
        with pytest.raises(TrainingError, match="killed after step"):
            wait(job, handle)
    resumed = train(job)
    assert resumed.digest == whole.digest
    for name in ("losses.jsonl", "rows.jsonl"):
        steps = [json.loads(x)["step"] for x in (resumed.path / name).open()]
        assert steps == list(range(1, STEPS + 1))


def test_a_finished_job_whose_checkpoint_was_lost_is_trained_again(make_training_job, mixture):
    job = make_training_job(mixture)
    first = train(job)
    shutil.rmtree(first.path)
    again = train(job)
    assert again.digest == first.digest
    assert len((again.path / "losses.jsonl").read_text().splitlines()) == STEPS


def test_who_waits_is_shown_each_look_and_how_it_ended(job_of, tiny_model, mixture):
    seen = []
    job = job_of(tiny_model, mixture)
    wait(job, LocalProcess().submit(job), seen.append)
    assert {s.state for s in seen[:-1]} <= {"running"}
    assert [s.step for s in seen] == sorted(s.step for s in seen)
    assert (seen[-1].state, seen[-1].step, seen[-1].steps) == ("completed", STEPS, STEPS)
    assert seen[-1].latest["loss"] > 0
    assert seen[-1].latest["time"] <= time.time()


def test_submitting_twice_finds_the_job_that_runs(job_of, tiny_model, mixture):
    job = job_of(tiny_model, mixture)
    first = LocalProcess().submit(job)
    assert LocalProcess().submit(job) == first
    wait(job, first)


def test_losses_are_kept_by_source_and_fall(job_of, tiny_model, mixture):
    lora = Lora(rank=16, targets="all-linear")
    checkpoint = train(job_of(tiny_model, mixture, learning_rate=5e-2, adapter=lora))
    records = [json.loads(x) for x in (checkpoint.path / "losses.jsonl").open()]
    assert {"loss/a", "loss/b", "learning_rate", "grad_norm", "tokens_per_second"} <= {
        key for r in records for key in r
    }
    assert records[-1]["loss"] < records[0]["loss"]


def test_the_checkpoint_is_a_whole_model_with_its_adapter(job_of, tiny_model, mixture):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = train(job_of(tiny_model, mixture))
    assert AutoModelForCausalLM.from_pretrained(checkpoint.path).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(checkpoint.path).chat_template
    assert (checkpoint.path / "adapter" / "adapter_model.safetensors").is_file()
    assert checkpoint.parent == tiny_model.digest != checkpoint.digest


def test_a_job_that_fails_says_why_and_can_be_run_again(job_of, tiny_model, mixture):
    shard = mixture.path / mixture.shards[0]
    aside = shard.rename(shard.with_suffix(".gone"))
    job = job_of(tiny_model, mixture)
    with pytest.raises(TrainingError, match="shard-00000"):
        train(job)
    aside.rename(shard)
    assert train(job).steps == job.steps
    assert (job.folder / "result-1.json").is_file()


def test_placement_and_saving_do_not_change_the_key(job_of, tiny_model, mixture):
    key = job_of(tiny_model, mixture).key
    assert job_of(tiny_model, mixture, save_steps=9, backend=LocalBackend(threads=2)).key == key
    assert job_of(tiny_model, mixture, learning_rate=2e-3).key != key
