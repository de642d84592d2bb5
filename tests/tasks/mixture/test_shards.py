from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import StorageError
from tasks.mixture.shards import GROUP_ROWS, open_shards, write_shard

ROWS = 50
ANY_ORDER = st.lists(st.integers(0, ROWS - 1), max_size=40)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}


@given(ANY_ORDER)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_is_the_same_in_whatever_order_rows_are_asked_for(
    opened: Any, positions: list[int]
) -> None:
    rows, expected = opened
    assert [plain(rows.read_row(p)) for p in positions] == [expected[p] for p in positions]


@pytest.fixture
def opened(make_mixture: Any) -> Any:
    mixture = make_mixture(ROWS)
    files = [pq.read_table(mixture.path / name).to_pylist() for name in mixture.shards]
    return open_shards(mixture), [row for file in files for row in file]


def test_a_range_of_positions_may_cross_groups_and_shards(opened: Any) -> None:
    rows, expected = opened
    for start, stop in ((0, ROWS), (3, 4), (14, 37), (32, 50)):
        assert rows.read(start, stop).to_pylist() == expected[start:stop]


def test_a_shard_that_is_missing_rows_is_damage(make_mixture: Any) -> None:
    mixture = make_mixture(ROWS)
    with pytest.raises(StorageError, match="3 shards of 16 rows"):
        open_shards(mixture.model_copy(update={"shards": mixture.shards[:3]}))
    short = mixture.path / mixture.shards[1]
    write_shard(pq.read_table(short).slice(0, 9), short)
    with pytest.raises(StorageError, match="has 9 rows, not 16"):
        open_shards(mixture).read_row(20)


def test_shards_are_written_in_small_groups(make_mixture: Any) -> None:
    mixture = make_mixture(2 * GROUP_ROWS, per_shard=2 * GROUP_ROWS, per_group=GROUP_ROWS)
    assert pq.read_metadata(mixture.path / mixture.shards[0]).num_row_groups == 2


def test_an_empty_mixture_has_no_rows(make_mixture: Any) -> None:
    assert len(open_shards(make_mixture(0))) == 0
