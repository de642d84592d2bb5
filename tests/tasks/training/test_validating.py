import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
from configs.training import Validation  # noqa: E402
from tasks.artifacts import HeldOut  # noqa: E402
from tasks.errors import TrainingError  # noqa: E402
from tasks.training.run import train  # noqa: E402
from tasks.training.validating import is_stale  # noqa: E402


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
