import pickle
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes.view import MixtureView, arrow_copy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROWS = 50
ANY_ORDER = st.lists(st.integers(0, ROWS - 1), max_size=40)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()}


@pytest.fixture
def opened(make_mixture: Any) -> Any:
    mixture = make_mixture(ROWS)
    files = [pq.read_table(mixture.path / name).to_pylist() for name in mixture.shards]
    return MixtureView(mixture), [row for file in files for row in file]


@given(ANY_ORDER)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_row_is_the_same_in_whatever_order_rows_are_asked_for(
    opened: Any, positions: list[int]
) -> None:
    view, expected = opened
    assert [plain(view[p]) for p in positions] == [expected[p] for p in positions]


def test_a_view_is_a_sequence(opened: Any) -> None:
    view, expected = opened
    assert len(view) == ROWS
    assert [plain(r) for r in view[45:]] == expected[45:]
    assert [plain(r) for r in view[::-7]] == expected[::-7]
    assert plain(view[-1]) == expected[-1]
    assert [plain(r) for r in view] == expected
    assert [plain(r) for r in view.__getitems__([3, 1])] == [expected[3], expected[1]]
    with pytest.raises(IndexError):
        view[ROWS]


def test_a_view_is_mapped_again_in_another_process(opened: Any) -> None:
    view, expected = opened
    assert plain(pickle.loads(pickle.dumps(view))[7]) == expected[7]


def test_the_copy_a_view_maps_is_made_once_and_is_a_dataset_too(
    make_mixture: Any, opened: Any
) -> None:
    pytest.importorskip("datasets")
    view, expected = opened
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
