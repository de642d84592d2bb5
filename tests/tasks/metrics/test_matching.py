from collections import Counter
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.matching import Labelled, LabelPath, levels_alike, pair

paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple)
bags = st.lists(paths, max_size=5)


def full(path: LabelPath) -> tuple[str | None, ...]:
    return (*path, *(None for _ in range(3 - len(path))))


@given(bags, bags)
def test_every_level_is_matched_as_well_as_it_can_be(
    said: list[LabelPath], meant: list[LabelPath]
) -> None:
    found = pair([Labelled(p) for p in said], [Labelled(p) for p in meant], 3)
    for level in (1, 2, 3):
        most = Counter(full(p)[:level] for p in said) & Counter(full(p)[:level] for p in meant)
        assert sum(p.right >= level for p in found) == most.total()


spans = st.sampled_from([None, "x", "x y", "y z", "x y z"])
labelled = st.lists(st.builds(Labelled, paths, spans), max_size=4)


@given(labelled, labelled)
def test_no_other_pairing_is_better(said: list[Labelled], meant: list[Labelled]) -> None:
    found = pair(said, meant, 3, 0.6)
    assert len({p.said for p in found}) == len({p.meant for p in found}) == len(found)
    worth = (sum(p.right == 3 for p in found), sum(p.similarity for p in found))
    few, many = sorted((said, meant), key=len)
    for chosen in permutations(range(len(many)), len(few)):
        alone = [
            pair([few[i]], [many[j]], 3, 0.6) if few is said else pair([many[j]], [few[i]], 3, 0.6)
            for i, j in enumerate(chosen)
        ]
        pairs = [p for ps in alone for p in ps]
        other = (sum(p.right == 3 for p in pairs), sum(p.similarity for p in pairs))
        assert worth[0] >= other[0]
        assert worth[0] > other[0] or worth[1] >= other[1] - 1e-9


@given(bags, bags)
def test_order_never_counts(said: list[LabelPath], meant: list[LabelPath]) -> None:
    one = pair([Labelled(p) for p in said], [Labelled(p) for p in meant], 3)
    other = pair([Labelled(p) for p in said[::-1]], [Labelled(p) for p in meant[::-1]], 3)
    assert sorted(p.right for p in one) == sorted(p.right for p in other)


def test_levels_are_alike_up_to_the_first_difference() -> None:
    assert levels_alike(("a", "b"), ("a", "b"), 4) == 4
    assert levels_alike(("a", "b"), ("a", "c"), 4) == 1
    assert levels_alike(("a",), ("a", "b"), 4) == 1
    assert levels_alike((), ("a",), 4) == 0
    assert levels_alike(("a", "b", "c"), ("a", "b"), 2) == 1
