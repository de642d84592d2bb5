import pickle
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import StorageError
from tasks.mixture.shards import GROUP_ROWS, shards_of, write_shard
from tasks.mixture.view import MixtureView, arrow_copy

ROWS = 50
ANY_ORDER = st.lists(st.integers(0, ROWS - 1), max_size=40)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}


@given(ANY_ORDER)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_is_the_same_in_whatever_order_rows_are_asked_for(
    opened: Any, positions: list[int]
) -> None:
    rows, view, expected = opened
    assert [plain(rows.row(p)) for p in positions] == [expected[p] for p in positions]
    assert [plain(view[p]) for p in positions] == [expected[p] for p in positions]


@pytest.fixture
def opened(make_mixture: Any) -> Any:
    mixture = make_mixture(ROWS)
    files = [pq.read_table(mixture.path / name).to_pylist() for name in mixture.shards]
    return shards_of(mixture), MixtureView(mixture), [row for file in files for row in file]


def test_a_range_of_positions_may_cross_groups_and_shards(opened: Any) -> None:
    rows, _, expected = opened
    for start, stop in ((0, ROWS), (3, 4), (14, 37), (32, 50)):
        assert rows.read(start, stop).to_pylist() == expected[start:stop]


def test_a_shard_that_is_missing_rows_is_damage(make_mixture: Any) -> None:
    mixture = make_mixture(ROWS)
    with pytest.raises(StorageError, match="3 shards of 16 rows"):
        shards_of(mixture.model_copy(update={"shards": mixture.shards[:3]}))
    short = mixture.path / mixture.shards[1]
    write_shard(pq.read_table(short).slice(0, 9), short)
    with pytest.raises(StorageError, match="has 9 rows, not 16"):
        shards_of(mixture).row(20)


def test_shards_are_written_in_small_groups(make_mixture: Any) -> None:
    mixture = make_mixture(2 * GROUP_ROWS, per_shard=2 * GROUP_ROWS, per_group=GROUP_ROWS)
    assert pq.read_metadata(mixture.path / mixture.shards[0]).num_row_groups == 2


def test_a_view_is_a_sequence(opened: Any) -> None:
    _, view, expected = opened
    assert len(view) == ROWS
    assert [plain(r) for r in view[45:]] == expected[45:]
    assert [plain(r) for r in view[::-7]] == expected[::-7]
    assert plain(view[-1]) == expected[-1]
    assert [plain(r) for r in view] == expected
    assert [plain(r) for r in view.__getitems__([3, 1])] == [expected[3], expected[1]]
    with pytest.raises(IndexError):
        view[ROWS]


def test_a_view_is_mapped_again_in_another_process(opened: Any) -> None:
    _, view, expected = opened
    assert plain(pickle.loads(pickle.dumps(view))[7]) == expected[7]


def test_the_copy_a_view_maps_is_made_once_and_is_a_dataset_too(
    make_mixture: Any, opened: Any
) -> None:
    pytest.importorskip("datasets")
    _, view, expected = opened
    made = arrow_copy(make_mixture(ROWS + 1))
    assert (
        arrow_copy(
            make_mixture(ROWS + 1, per_shard=17, per_group=3).model_copy(
                update={"digest": f"mixture-{ROWS + 1}-16-5"}
            )
        )
        == made
    )
    assert view.dataset().to_list() == expected


def test_an_empty_mixture_has_no_rows(make_mixture: Any) -> None:
    assert len(shards_of(make_mixture(0))) == 0
