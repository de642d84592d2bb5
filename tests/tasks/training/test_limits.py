import errno
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("torch")
from tasks.errors import StorageError, TrainingError  # noqa: E402
from tasks.text.masks import IGNORED  # noqa: E402
from tasks.training.callbacks import check_rows  # noqa: E402
from tasks.training.data import check_data, planned_rows  # noqa: E402
from tasks.training.limits import check_disk, explained, saved_bytes  # noqa: E402
from tasks.training.resume import MARK, go_back, keep_streams, last_state, mark  # noqa: E402

CPU = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory"


def raised(folder, error, used=(2000, 0, 2048)):
    with pytest.raises((TrainingError, StorageError, KeyError, RuntimeError)) as caught:  # noqa: SIM117
        with explained(folder, lambda: used):
            raise error
    return caught.value


@pytest.mark.parametrize(
    ("used", "fix"),
    [
        ((2000, 0, 2048), "micro_batch_tokens to 1,000 "),
        ((2000, 1500, 2048), "micro_batch_tokens to 1,500 "),
        ((2000, 2000, 2048), "micro_batch_tokens to 1,000 "),
        ((4000, 0, 2048), "sequence_length to 2,000"),
        ((0, 0, 2048), "use an adapter"),
    ],
)
@pytest.mark.parametrize("error", [RuntimeError(CPU), MemoryError()])
def test_out_of_memory_names_what_would_fit(tmp_path, error, used, fix):
    assert fix in raised(tmp_path, error, used).fix


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed"),
        KeyError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_named_whoever_finds_it(tmp_path, error):
    found = raised(tmp_path, error)
    assert isinstance(found, StorageError)
    assert "disk is full" in found.message


@pytest.mark.parametrize("error", [RuntimeError("shapes don't fit"), KeyError("labels")])
def test_other_errors_stay_what_they_are(tmp_path, error):
    assert raised(tmp_path, error) is error


def test_a_job_that_its_disk_has_no_room_for_is_refused_before_it_starts(tmp_path):
    check_disk(tmp_path, 1000)
    with pytest.raises(StorageError, match="GB are free"):
        check_disk(tmp_path, 10**18)
    assert saved_bytes(trainable=10, whole=100, merged=2) == 3 * 12 * 10 + 200 + 40


@pytest.fixture
def job(mixture, make_training_job):
    return make_training_job(mixture)


def test_a_sequence_over_the_models_context_is_refused(job):
    check_data(job, context=19)
    with pytest.raises(TrainingError, match="19 tokens, and tiny can see 18"):
        check_data(job, context=18)


def test_rows_of_which_all_labels_are_masked_are_refused(job):
    path = job.mixture.path / job.mixture.shards[0]
    table = pq.read_table(path)
    masked = [[IGNORED] * len(row) for row in table["labels"].to_pylist()]
    at = table.column_names.index("labels")
    pq.write_table(table.set_column(at, "labels", pa.array(masked, pa.list_(pa.int32()))), path)
    with pytest.raises(TrainingError, match="no token of the mixture carries loss"):
        check_data(job, context=None)


def state(folder, step, data="d"):
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "weights").write_text("x" * step)
    mark(path, step, 4 * step, data)
    return path


def test_the_newest_whole_state_is_gone_on_from_and_broken_ones_are_removed(tmp_path):
    state(tmp_path, 2)
    state(tmp_path, 4)
    (state(tmp_path, 10) / MARK).unlink()
    (state(tmp_path, 6) / "weights").write_text("cut")
    path, where = last_state(tmp_path, "d")
    assert (path.name, where.step, where.position) == ("checkpoint-4", 4, 16)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-2", "checkpoint-4"]


def test_a_state_of_another_mixture_is_refused(tmp_path):
    state(tmp_path, 2, data="other")
    with pytest.raises(TrainingError, match="of another mixture"):
        last_state(tmp_path, "d")


def test_without_a_state_training_begins_at_the_beginning(tmp_path):
    assert last_state(tmp_path, "d") is None


def test_streams_go_back_to_where_the_state_kept_them(tmp_path):
    stream, kept = tmp_path / "losses.jsonl", tmp_path / "checkpoint-3"
    kept.mkdir()
    lines = [json.dumps({"step": n}) + "\n" for n in range(1, 6)]
    stream.write_text("".join(lines[:3]))
    keep_streams(tmp_path, kept)
    mark(kept, 3, 3, "d")
    for now in ("".join(lines) + '{"step": 6', lines[0], ""):  # ahead, behind, or not come back
        stream.write_text(now)
        go_back(tmp_path, kept)
        assert stream.read_text() == "".join(lines[:3])
    stream.unlink()
    go_back(tmp_path, kept)
    assert stream.read_text() == "".join(lines[:3])


def test_without_a_state_streams_begin_anew(tmp_path):
    stream = tmp_path / "rows.jsonl"
    stream.write_text("left by a job that was killed before it saved anything")
    go_back(tmp_path, None)
    assert not stream.exists()


def consumed(folder, steps):
    stream = folder / "rows.jsonl"
    lines = [json.dumps({"step": i, "rows": rows}) for i, rows in enumerate(steps, 1)]
    stream.write_text("\n".join(lines) + "\n")
    return stream


def test_the_rows_consumed_are_the_plans_step_by_step(tmp_path, job):
    planned = list(planned_rows(job))
    assert planned[1] == ["r4", "r5", "r6", "r7"]
    backwards = [rows[::-1] for rows in planned]
    assert check_rows(consumed(tmp_path, backwards), iter(planned)) == job.mixture.rows


@pytest.mark.parametrize(
    "used", [[["r0", "r2"], ["r1", "r3"]], [["r0", "r1", "r1"], ["r2", "r3"]], [["r0"], ["r2"]]]
)
def test_a_step_with_other_rows_than_the_plans_is_an_error(tmp_path, used):
    with pytest.raises(TrainingError, match="other rows than the plan's"):
        check_rows(consumed(tmp_path, used), iter([["r0", "r1"], ["r2", "r3"]]))


pytest.importorskip("torch")
from configs.training import Lora, Rft, Training  # noqa: E402
from tasks.training.backends.uploads import parts_of  # noqa: E402
from tasks.training.job import make_job  # noqa: E402
from tasks.training.job_checks import check_job, check_targets  # noqa: E402

PAYS_PLUS = "def polite(answer, reference, row):\n    return float('plus' in answer)\n"


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's own on the path; gives a function that writes it."""
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    sys.modules.pop("my_rewards", None)

    def write(text):
        (tmp_path / "own" / "my_rewards.py").write_text(text)
        sys.modules.pop("my_rewards", None)

    yield write
    sys.modules.pop("my_rewards", None)


@pytest.fixture
def rewarded(make_mixture, tiny_model):
    """A function that makes a job of rewards by name."""
    mixture = make_mixture("rft")

    def make(name):
        spec = Training(method="rft", rft=Rft.model_validate({"functions": [{"name": name}]}))
        return make_job(tiny_model, mixture, spec, 3)

    return make


def test_an_adapter_for_layers_that_are_not_there_is_refused_with_those_that_are(tiny_model):
    with pytest.raises(TrainingError, match="no layer named qkv_proj") as raised:
        check_targets(tiny_model.path, Lora(targets=("qkv_proj", "o_proj")))
    assert "down_proj, embed_tokens, gate_proj, k_proj" in raised.value.fix


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj",), ("self_attn.q_proj", "up_proj")])
def test_layers_may_be_named_in_each_way_that_adapters_take(tiny_model, targets):
    check_targets(tiny_model.path, Lora(targets=targets))


def test_a_part_of_a_name_is_no_layer(tiny_model):
    with pytest.raises(TrainingError, match="no layer named proj"):
        check_targets(tiny_model.path, Lora(targets=("proj",)))


def test_a_reward_of_one_s_own_is_tried_before_anything_starts(own_module, rewarded):
    own_module(PAYS_PLUS)
    check_job(rewarded("my_rewards:polite"))
    own_module("def polite(answer, reference, row):\n    return reference['no such key']\n")
    with pytest.raises(TrainingError, match="failed on a row: TypeError"):
        check_job(rewarded("my_rewards:polite"))


def test_a_module_that_is_not_there_is_named(rewarded):
    with pytest.raises(TrainingError, match="there is no module not_there"):
        rewarded("not_there:polite")


def test_an_edited_reward_is_another_training(own_module, rewarded):
    own_module(PAYS_PLUS)
    first = rewarded("my_rewards:polite").key
    assert rewarded("my_rewards:polite").key == first
    own_module(PAYS_PLUS.replace("plus", "minus"))
    assert rewarded("my_rewards:polite").key != first


def test_a_reward_of_one_s_own_travels_with_the_job(own_module, rewarded):
    own_module(PAYS_PLUS)
    kind, _, files = parts_of(rewarded("my_rewards:polite"), code=False)["rewards"]
    assert kind == "rewards"
    assert {name: path.read_text() for name, path in files.items()} == {"my_rewards.py": PAYS_PLUS}
