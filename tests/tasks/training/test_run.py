import json

import pytest

torch = pytest.importorskip("torch")

from configs.training import Lora, Reward, Rft  # noqa: E402
from tasks.mixture.packs import pack  # noqa: E402
from tasks.models.identity import weights_digest  # noqa: E402
from tasks.training.run import train  # noqa: E402

FEW = Rft(functions=(Reward(name="length", limit=8),), generations=4, max_new_tokens=8)
METHODS = {
    "sft": {},
    "cpt": {"packing": "off"},
    "dpo": {"learning_rate": 5e-3},
    "rft": {"rft": FEW, "batch_rows": 2},
}
SMALL = 16


def done(job):
    job.write()
    result = train(job)
    return result, weights_digest(job.folder / "out")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_on_from_its_last_state_to_the_same_weights(
    make_mixture, make_training_job, method, tmp_path, monkeypatch
):
    rows = make_mixture(method, SMALL)
    job = make_training_job(rows, method=method, **METHODS[method])
    _, whole = done(job)
    again = job.model_copy(update={"folder": tmp_path / "again"})
    with pytest.raises(KeyboardInterrupt):
        done(interrupted(again, monkeypatch, after=3))
    monkeypatch.undo()
    result, resumed = done(again)
    assert resumed == whole
    assert result["steps"] == job.steps
    assert result["rows"] == SMALL
    assert read(again.folder / "losses.jsonl") == read(job.folder / "losses.jsonl")


def test_a_checkpoint_ends_its_answers_by_the_templates_token_and_keeps_a_cache(
    mixture, make_training_job, tiny_model
):
    job = make_training_job(mixture, gradient_checkpointing=True, adapter=None)
    job.write()
    result = train(job)
    out = job.folder / "out"
    assert json.loads((out / "config.json").read_text())["use_cache"] is True
    stops = json.loads((out / "generation_config.json").read_text())["eos_token_id"]
    assert 2 in (stops if isinstance(stops, list) else [stops])
    assert result["notes"]["layout"] == "sorted"
    assert result["notes"]["attention"] == "eager"
    assert "nats a token from the trained model" in result["notes"]["saved model"]


def read(stream):
    timed = ("time", "tokens_per_second", "supervised_tokens_per_second", "memory")
    records = [json.loads(line) for line in stream.open()]
    return [{k: v for k, v in r.items() if k not in timed} for r in records]


def interrupted(job, monkeypatch, after):
    """Break the job off in the step after ``after``, as a signal would."""
    from tasks.training.trainer_step import PlanSteps

    step = PlanSteps.training_step

    def stopping(self, *args, **kwargs):
        if self.state.global_step == after:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(PlanSteps, "training_step", stopping)
    return job


@pytest.mark.parametrize(
    "adapter",
    [
        None,
        Lora(rank=8, rslora=True, targets="all-linear"),
        Lora(rank=4, dora=True, targets="all-linear"),
    ],
    ids=["full", "rslora", "dora"],
)
def test_other_parameters_learn_and_are_merged(mixture, make_training_job, records, adapter):
    job = make_training_job(mixture, adapter=adapter, learning_rate=2e-2)
    result, digest = done(job)
    losses = [r["loss"] for r in records(job.folder)]
    assert losses[-1] < losses[0]
    assert digest != job.model.digest
    assert bool(result["adapter_digest"]) == (adapter is not None)


def test_packs_are_trained_on_document_by_document(mixture, make_training_job, records):
    packs = pack(mixture, 64)
    job = make_training_job(mixture, packs, packing="on", batch_rows=2, sequence_length=64)
    result, _ = done(job)
    assert job.steps == -(-packs.packs // 2)
    assert result["rows"] == mixture.rows
    assert sum(r["supervised_tokens"] for r in records(job.folder)) == packs.supervised_tokens


def test_a_source_that_counts_for_nothing_teaches_nothing(mixture, make_training_job):
    digests = {
        weight: done(make_training_job(mixture, loss_weight={"a": weight, "b": weight}))[1]
        for weight in (0.0, 1.0)
    }
    assert digests[0.0] != digests[1.0]
    assert len(set(digests.values()) | {done(make_training_job(mixture))[1]}) == 2


def test_the_result_says_what_the_last_bits_of_the_weights_depend_on(mixture, make_training_job):
    made = done(make_training_job(mixture))[0]["made_with"]
    assert (made["seed"], made["threads"], made["processes"]) == (7, 1, 1)
    assert made["dtype"] == "torch.float32"
    assert {"torch", "trl"} <= made.keys()


def test_the_part_of_the_loss_that_holds_to_the_base_is_in_the_stream(
    mixture, make_training_job, records
):
    job = make_training_job(mixture, kl_to_base=0.1)
    done(job)
    found = [r["kl_to_base"] for r in records(job.folder)]
    # The adapter changes nothing before its first step.
    assert found[0] == pytest.approx(0, abs=1e-6)
    assert min(found[1:]) > 0
