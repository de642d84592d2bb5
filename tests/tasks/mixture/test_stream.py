import pickle
from typing import Any

import numpy as np
import pytest
from budgets import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.mixture.packs import pack

torch_data = pytest.importorskip("torch.utils.data")
from fakes.stream import MixtureStream  # noqa: E402 (needs torch)

ROWS = 50


@pytest.fixture
def mixture(make_mixture: Any) -> Any:
    return make_mixture(ROWS)


def positions(rows: Any) -> list[int]:
    return [row["position"] for row in rows]


def in_turn(ranks: list[list[int]]) -> list[int]:
    return [p for step in zip(*ranks, strict=True) for p in step]


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_in_turn_give_the_plans_order_for_any_world(mixture: Any, world: int) -> None:
    streams = [MixtureStream(mixture, rank, world) for rank in range(world)]
    found = in_turn([positions(s) for s in streams])
    assert found == list(range(ROWS - ROWS % world))
    assert {s.left_over for s in streams} == {ROWS % world}
    assert {len(s) for s in streams} == {ROWS // world}


@given(
    st.integers(0, ROWS),
    st.sampled_from([1, 2, 3, 8]),
    st.sampled_from([1, 2, 3, 8]),
    st.integers(0, 6),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(30))
def test_a_run_goes_on_with_another_number_of_ranks_where_it_stopped(
    mixture: Any, start: int, before: int, after: int, steps: int
) -> None:
    steps = min(steps, (ROWS - start) // before)
    streams = [MixtureStream(mixture, r, before, start) for r in range(before)]
    iterators = [iter(s) for s in streams]
    first = in_turn([positions(next(it) for _ in range(steps)) for it in iterators])
    states = [s.state_dict() for s in streams]
    assert states == [{"position": start + steps * before}] * before
    assert states[0] == streams[0].state_after(steps)
    rest = []
    for rank in range(after):
        stream = MixtureStream(mixture, rank, after)
        stream.load_state_dict(states[0])
        rest.append(positions(stream))
    found = first + in_turn(rest)
    assert found == list(range(start, start + len(found)))
    assert ROWS - start - len(found) < after


@pytest.mark.parametrize("world", [1, 3, 8])
def test_padding_gives_every_row_once_and_trains_on_no_copy(mixture: Any, world: int) -> None:
    rows = [list(MixtureStream(mixture, r, world, tail="pad")) for r in range(world)]
    assert len({len(own) for own in rows}) == 1
    trained = [r["position"] for own in rows for r in own if (r["labels"] != -100).any()]
    supervised = [p for p in range(ROWS) if p * 7919 % 23 + 1 > 1]  # a row of one token has none
    assert sorted(trained) == supervised


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_workers_gives_the_same_batches(mixture: Any, workers: int) -> None:
    start = 7
    stream = MixtureStream(mixture, 1, 2, start, batch_rows=4)
    # Spawned, as where there is no fork: this process has threads, and may not be copied.
    context = "spawn" if workers else None
    loader = torch_data.DataLoader(
        stream, batch_size=4, num_workers=workers, collate_fn=list, multiprocessing_context=context
    )
    mine = list(range(start, ROWS))[1::2]
    assert [positions(batch) for batch in loader] == [
        mine[i : i + 4] for i in range(0, len(mine), 4)
    ]


def test_a_worker_goes_on_in_its_own_batches(mixture: Any, monkeypatch: Any) -> None:
    from fakes import stream as module

    def of_worker(worker: int) -> MixtureStream:
        info = type("Info", (), {"id": worker, "num_workers": 2})
        monkeypatch.setattr(module, "get_worker_info", lambda: info)
        return MixtureStream(mixture, batch_rows=4)

    whole = positions(of_worker(1))
    stopped = of_worker(1)
    iterator = iter(stopped)
    first = positions(next(iterator) for _ in range(6))
    again = of_worker(1)
    again.load_state_dict(stopped.state_dict())
    assert first + positions(again) == whole
    assert sorted(whole + positions(of_worker(0))) == list(range(ROWS))


def test_iterating_anew_begins_at_the_state_given(mixture: Any) -> None:
    stream = MixtureStream(mixture, start=40)
    assert positions(stream) == positions(stream) == list(range(40, ROWS))


def test_rows_are_arrays_of_their_own(mixture: Any) -> None:
    row = next(iter(MixtureStream(mixture, start=2)))
    assert set(row) == {"position", "source", "row_id", "epoch", "input_ids", "labels"}
    assert row["input_ids"].dtype == row["labels"].dtype == np.int64
    row["labels"][:] = 0  # may be written to, and no other row feels it
    assert next(iter(MixtureStream(mixture, start=2)))["labels"][0] == -100


def test_packs_are_streamed_by_number(mixture: Any) -> None:
    packed = pack(mixture, 23)
    found = [p["positions"].tolist() for r in range(2) for p in MixtureStream(packed, r, 2, 5)]
    whole = [p["positions"].tolist() for p in MixtureStream(packed)]
    taken = (packed.packs - 5) // 2 * 2
    assert sorted(found) == sorted(whole[5 : 5 + taken])


def test_a_stream_that_is_under_way_can_be_pickled(mixture: Any) -> None:
    stream = MixtureStream(mixture, start=30)
    next(iter(stream))
    assert positions(pickle.loads(pickle.dumps(stream))) == list(range(30, ROWS))


@pytest.mark.parametrize(("rank", "world", "start"), [(2, 2, 0), (-1, 2, 0), (0, 1, 51)])
def test_a_rank_or_start_that_is_not_there_is_refused(
    mixture: Any, rank: int, world: int, start: int
) -> None:
    with pytest.raises(ValueError, match="must be 0 to"):
        MixtureStream(mixture, rank, world, start)
