import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
from configs.training import Lora, Validation  # noqa: E402
from tasks.artifacts import HeldOut  # noqa: E402
from tasks.errors import TrainingError  # noqa: E402
from tasks.models.identity import weights_digest  # noqa: E402
from tasks.training.run import train  # noqa: E402
from tasks.training.validation import best_step, is_stale  # noqa: E402


@pytest.mark.parametrize(
    ("history", "patience", "delta", "stale"),
    [
        ([], 2, 0, False),
        ([3, 2], 2, 0, False),
        ([3, 3, 3], 2, 0, True),
        ([3, 4, 2.9], 2, 0, False),
        ([3, 4, 2.9], 2, 0.2, True),
        ([3, 2, 2.5, 2.1], 2, 0, True),
        ([3, 2, 2.5, 1.9], 2, 0, False),
    ],
)
def test_loss_is_stale_when_none_of_the_last_is_better(history, patience, delta, stale):
    assert is_stale(history, patience, delta) is stale


@pytest.fixture
def held_out(tmp_path, make_mixture):
    shard = make_mixture("sft", 16).path / "shard-00000.parquet"
    table = pq.read_table(shard, columns=["row_id", "input_ids", "labels", "source"])
    roles = ["domain" if i % 2 else "general" for i in range(table.num_rows)]
    pq.write_table(table.append_column("role", pa.array(roles)), tmp_path / "rows.parquet")
    return HeldOut(path=tmp_path, digest="h", rows={"domain": 8, "general": 8})


def test_validation_is_in_the_stream_and_stops_where_it_gets_no_better(
    mixture, held_out, make_training_job, records
):
    spec = Validation(every=2, stop_on="domain", patience=2, min_delta=10.0)
    job = make_training_job(mixture, None, held_out, validation=spec)
    job.write()
    result = train(job)
    found = [r for r in records(job.folder) if "validation/domain" in r]
    assert [r["step"] for r in found] == [2, 4, 6]
    assert all(r["validation/general"] > 0 for r in found)
    assert result["steps"] == 6 < job.steps
    assert "domain loss on held-out rows has not improved" in result["stopped"]
    assert json.loads((job.folder / "states" / "checkpoint-6" / "position.json").read_text())


@pytest.mark.parametrize(
    ("history", "best"),
    [
        ([], None),
        ([(2, 3.0)], 2),
        ([(2, 3.0), (4, 2.0), (6, 2.5)], 4),
        ([(2, 2.0), (4, 2.0)], 2),
        ([(2, float("nan")), (4, 2.0), (6, float("nan"))], 4),
        ([(2, float("nan"))], None),
    ],
)
def test_the_best_step_is_the_first_of_the_lowest_loss(history, best):
    assert best_step(history) == best


@pytest.fixture
def surprising(tmp_path, make_mixture):
    """Held-out domain rows with their answers backwards: soon less likely the more is learnt."""
    shard = make_mixture("sft", 16).path / "shard-00000.parquet"
    table = pq.read_table(shard, columns=["row_id", "input_ids", "labels", "source"]).to_pylist()
    for row in table:
        row["role"] = "domain"
        row["input_ids"] = [*row["input_ids"][:4], *row["input_ids"][:3:-1]]
        row["labels"] = [*row["labels"][:4], *row["input_ids"][4:]]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "rows.parquet")
    return HeldOut(path=tmp_path, digest="s", rows={"domain": 16})


STOPPING = Validation(every=2, stop_on="domain", patience=3)


def losses_by_step(job):
    lines = [json.loads(line) for line in (job.folder / "losses.jsonl").open()]
    return {r["step"]: r["validation/domain"] for r in lines if "validation/domain" in r}


@pytest.mark.parametrize("adapter", [Lora(rank=4, targets="all-linear"), None], ids=["lora", "all"])
def test_the_weights_of_the_lowest_loss_are_kept_however_training_was_broken_off(
    make_mixture, surprising, make_training_job, tmp_path, monkeypatch, adapter
):
    """Steps are the same whether or not there is validation, so those weights are known."""
    mixture = make_mixture("sft", 80)
    fields = {
        "adapter": adapter,
        "learning_rate": 2e-2,
        "save_steps": 5,
        "schedule": "constant",
        "warmup_ratio": 0.0,
    }
    job = make_training_job(mixture, None, surprising, validation=STOPPING, **fields)
    job.write()
    result = train(job)
    losses, best = losses_by_step(job), result["best_step"]
    assert losses[best] == min(losses.values())
    assert best < result["steps"] == best + 6 < job.steps
    whole = weights_digest(job.folder / "out")
    assert whole == weights_after(make_training_job(mixture, **fields), best, tmp_path)
    for after in (best - 1, best + 1, result["steps"]) if adapter else (best + 1,):
        again = job.model_copy(update={"folder": tmp_path / f"again-{after}"})
        broken_off(again, after, monkeypatch)
        resumed = train(again)
        assert (resumed["steps"], resumed["best_step"]) == (result["steps"], best)
        assert resumed["stopped"] == result["stopped"]
        assert losses_by_step(again) == losses
        assert weights_digest(again.folder / "out") == whole


def weights_after(job, steps, tmp_path):
    """Return the digest of the weights that as many steps give, with nothing validated."""
    short = job.model_copy(update={"folder": tmp_path / "short", "steps": steps})
    short.write()
    train(short)
    return weights_digest(short.folder / "out")


def broken_off(job, after, monkeypatch):
    """Break a job off in the step after that one, or before its weights are merged."""
    from tasks.training import run
    from tasks.training.trainer_step import PlanSteps

    step = PlanSteps.training_step

    def stopping(self, *args, **kwargs):
        if self.state.global_step == after:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    def interrupt(*_):
        raise KeyboardInterrupt

    job.write()
    with monkeypatch.context() as patch:
        patch.setattr(PlanSteps, "training_step", stopping)
        patch.setattr(run, "save_merged", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(job)


def test_the_best_weights_are_kept_where_training_goes_to_its_end(
    mixture, surprising, make_training_job
):
    patient = STOPPING.model_copy(update={"patience": 50})
    job = make_training_job(mixture, None, surprising, validation=patient, learning_rate=2e-2)
    job.write()
    result = train(job)
    assert result["stopped"] == ""
    assert result["steps"] == job.steps > result["best_step"]
    assert len(list((job.folder / "states").glob("checkpoint-*"))) <= 3


def test_a_best_state_that_is_gone_is_told(
    mixture, surprising, make_training_job, tmp_path, monkeypatch
):
    import shutil

    from tasks.training import run

    job = make_training_job(mixture, None, surprising, validation=STOPPING, learning_rate=2e-2)
    job.write()
    back = run._back_to_best

    def emptied(trainer, states, done):
        for state in states.glob("checkpoint-*"):
            shutil.rmtree(state)
        return back(trainer, states, done)

    monkeypatch.setattr(run, "_back_to_best", emptied)
    with pytest.raises(TrainingError, match="the state of the lowest validation loss is gone"):
        train(job)


def test_validation_that_only_watches_keeps_the_last_weights(
    mixture, surprising, make_training_job
):
    watched = make_training_job(mixture, None, surprising, validation=Validation(every=2))
    watched.write()
    assert train(watched)["best_step"] is None
    seen = weights_digest(watched.folder / "out")
    alone = watched.model_copy(update={"held_out": None})
    alone.write()
    train(alone)
    assert weights_digest(alone.folder / "out") == seen


def test_stopping_on_a_role_without_held_out_rows_is_refused(mixture, held_out, make_training_job):
    none = held_out.model_copy(update={"rows": {"general": 16}})
    job = make_training_job(mixture, None, none, validation=Validation(stop_on="domain"))
    job.write()
    with pytest.raises(TrainingError, match="no held-out rows of role domain"):
        train(job)


def test_validation_that_only_watches_is_not_part_of_the_key(mixture, held_out, make_training_job):
    plain = make_training_job(mixture).key
    watched = make_training_job(mixture, None, held_out, validation=Validation())
    stopped = make_training_job(mixture, None, held_out, validation=Validation(stop_on="domain"))
    assert watched.key == plain != stopped.key
