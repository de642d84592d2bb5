from hypothesis import given
from hypothesis import strategies as st

from tasks.text.keyed import key_of, keyed_sample

NAMES = st.lists(st.text(min_size=1), min_size=1, max_size=50, unique=True)


@given(NAMES, st.data())
def test_a_smaller_sample_is_part_of_a_larger_one(names, data):
    large = data.draw(st.integers(1, len(names)))
    small = data.draw(st.integers(1, large))
    key = key_of(17, "test")
    assert set(keyed_sample(names, small, key)) <= set(keyed_sample(names, large, key))


@given(NAMES, st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_the_names(names, random):
    shuffled = list(names)
    random.shuffle(shuffled)
    key, count = key_of(17, "test"), max(1, len(names) // 2)
    chosen = {names[i] for i in keyed_sample(names, count, key)}
    assert chosen == {shuffled[i] for i in keyed_sample(shuffled, count, key)}


def test_keys_come_from_names_not_from_their_concatenation():
    assert key_of(1, "ab", "c") != key_of(1, "a", "bc")
