import json
import os
import signal
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from configs.stages import LocalBackend, Lora, Training
from tasks.artifacts import MixtureReceipt
from tasks.errors import TrainingError
from tasks.text.chat import IGNORED
from tasks.training.job import make_job
from tasks.training.local import LocalProcess, latest_record
from tasks.training.wait import wait

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

ROWS = 48


@pytest.fixture
def mixture(temper_home):
    folder = temper_home / "mixtures" / "m"
    folder.mkdir(parents=True)
    ids = [[7 + (i * j) % 190 for j in range(1, 12 + i % 9)] for i in range(ROWS)]
    labels = [[IGNORED] * 4 + row[4:] for row in ids]
    source = ["a" if i % 3 else "b" for i in range(ROWS)]
    table = pa.table(
        {
            "input_ids": pa.array(ids, pa.list_(pa.int32())),
            "labels": pa.array(labels, pa.list_(pa.int32())),
            "source": source,
        }
    )
    pq.write_table(table, folder / "shard-00000.parquet")
    return MixtureReceipt(
        path=folder,
        digest="mixture-digest",
        rows=ROWS,
        tokens=0,
        supervised_tokens=0,
        shards=("shard-00000.parquet",),
        sources=("a", "b"),
    )


def job_of(tiny_model, mixture, **fields):
    training = Training(
        **{
            "batch_rows": 4,
            "save_steps": 2,
            "learning_rate": 1e-3,
            "dtype": "float32",
            "adapter": Lora(rank=4),
            "backend": LocalBackend(threads=1),
            **fields,
        }
    )
    return make_job(tiny_model, mixture, training, seed=7)


def train(job):
    return wait(job, LocalProcess().submit(job))


def test_a_killed_job_goes_on_to_the_same_weights(tiny_model, mixture, monkeypatch, tmp_path):
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
    assert steps == list(range(1, ROWS // 4 + 1))


def test_submitting_twice_finds_the_job_that_runs(tiny_model, mixture):
    job = job_of(tiny_model, mixture)
    first = LocalProcess().submit(job)
    assert LocalProcess().submit(job) == first
    wait(job, first)


def test_losses_are_kept_by_source_and_fall(tiny_model, mixture):
    lora = Lora(rank=16, targets="all-linear")
    checkpoint = train(job_of(tiny_model, mixture, learning_rate=5e-2, adapter=lora))
    records = [json.loads(x) for x in (checkpoint.path / "losses.jsonl").open()]
    assert {"loss/a", "loss/b", "learning_rate", "grad_norm", "tokens_per_second"} <= {
        key for r in records for key in r
    }
    assert records[-1]["loss"] < records[0]["loss"]


def test_the_checkpoint_is_a_whole_model_with_its_adapter(tiny_model, mixture):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    checkpoint = train(job_of(tiny_model, mixture))
    assert AutoModelForCausalLM.from_pretrained(checkpoint.path).num_parameters() > 0
    assert AutoTokenizer.from_pretrained(checkpoint.path).chat_template
    assert (checkpoint.path / "adapter" / "adapter_model.safetensors").is_file()
    assert checkpoint.parent == tiny_model.digest != checkpoint.digest


def test_a_job_that_fails_says_why_and_can_be_run_again(tiny_model, mixture):
    shard = mixture.path / mixture.shards[0]
    aside = shard.rename(shard.with_suffix(".gone"))
    job = job_of(tiny_model, mixture)
    with pytest.raises(TrainingError, match="shard-00000"):
        train(job)
    aside.rename(shard)
    assert train(job).steps == job.steps
    assert (job.folder / "result-1.json").is_file()


def test_placement_and_saving_do_not_change_the_key(tiny_model, mixture):
    key = job_of(tiny_model, mixture).key
    assert job_of(tiny_model, mixture, save_steps=9, backend=LocalBackend(threads=2)).key == key
    assert job_of(tiny_model, mixture, learning_rate=2e-3).key != key
