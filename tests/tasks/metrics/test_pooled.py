import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.pooled import quotient

columns = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9)


def share(items: list[tuple[int, int]]) -> float:
    bottom = sum(b for _, b in items)
    return sum(a for a, _ in items) / bottom if bottom else 0.0


@given(columns)
def test_a_quotient_is_of_sums_and_without_each_item_counted_anew(
    items: list[tuple[int, int]],
) -> None:
    found = quotient(*zip(*items, strict=True))
    assert found.value() == pytest.approx(share(items))
    expected = [share(items[:i] + items[i + 1 :]) for i in range(len(items))]
    assert found.without_each() == pytest.approx(expected)
    units = np.arange(len(items)) % 2
    grouped = [share([x for i, x in enumerate(items) if i % 2 != u]) for u in (0, 1)]
    assert found.without_each(units) == pytest.approx(grouped)
