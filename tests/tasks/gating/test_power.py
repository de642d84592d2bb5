import numpy as np
import pytest

from tasks.gating.power import bearable_spread, needed_items, resolvable
from tasks.metrics.intervals import paired_score


@pytest.mark.parametrize(
    ("discordance", "margin", "items"),
    [(0.1, 0.01, 6183), (0.2, 0.01, 12366), (0.1, 0.02, 1546), (0.2, 0.03, 1374)],
)
def test_the_items_for_a_margin_are_those_of_the_usual_table(
    discordance: float, margin: float, items: int
) -> None:
    assert needed_items(discordance, margin, 0.05) == pytest.approx(items, abs=1)


def test_no_number_of_items_is_named_where_none_would_do() -> None:
    assert needed_items(0.1, 0.0, 0.05) is None
    assert needed_items(0.1, 1e-9, 0.05) is None


def test_the_items_named_give_the_power_promised() -> None:
    rng = np.random.default_rng(0)
    n = needed_items(0.2, 0.05, 0.05)
    assert n is not None
    flips = rng.multinomial(n, [0.1, 0.1, 0.8], size=2000)
    passed = np.mean([paired_score(int(g), int(w), n, 0.9).low > -0.05 for g, w, _ in flips])
    assert 0.77 <= passed <= 0.83


def test_the_smallest_margin_of_so_many_items_needs_just_so_many() -> None:
    for n, discordance in ((541, 0.1), (14_042, 0.2)):
        margin = resolvable(n, discordance, 0.05)
        assert needed_items(discordance, margin, 0.05) == pytest.approx(n, abs=1)
        assert bearable_spread(n, margin, 0.05) == pytest.approx(discordance**0.5)
    assert resolvable(541, 0.1, 0.05) == pytest.approx(0.034, abs=5e-4)


def test_few_degrees_of_freedom_ask_for_more_items() -> None:
    plain = needed_items(0.2, 0.05, 0.05)
    few = needed_items(0.2, 0.05, 0.05, (4.0, 500))
    assert plain is not None
    assert few is not None
    assert 1.05 * plain < few < 1.4 * plain
