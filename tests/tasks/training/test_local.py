import json
import os
import signal
import time

import pytest

from configs.local_backend import LocalBackend
from configs.training import Lora
from tasks.errors import TrainingError
from tasks.training.local import LocalProcess, latest_record
from tasks.training.wait import wait

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

STEPS = 12


@pytest.fixture
def job_of(make_training_job):
    def make(tiny_model, mixture, **fields):
        return make_training_job(mixture, **fields)

    return make


def train(job):
    return wait(job, LocalProcess().submit(job))


def test_a_killed_job_goes_on_to_the_same_weights(
    job_of, tiny_model, mixture, monkeypatch, tmp_path
):
    whole = train(job_of(tiny_model, mixture))
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "other"))
    job = job_of(tiny_model, mixture)
    handle = LocalProcess().submit(job)
    while latest_record(job.folder / "losses.jsonl").get("step", 0) < 5:
        time.sleep(0.01)
    os.kill(handle.pid, signal.SIGKILL)
    with pytest.raises(TrainingError, match="killed after step"):
        wait(job, handle)
    resumed = train(job)
    assert resumed.digest == whole.digest
    steps = [json.loads(x)["step"] for x in (resumed.path / "losses.jsonl").open()]
    assert steps == list(range(1, STEPS + 1))


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
