import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.normal import normal, pieces, words


@pytest.mark.parametrize(
    "alike",
    [
        ["2+2", "2 + 2", "2 +2", "2+  2"],
        ["2-2", "2 - 2", "2 – 2", "2−2"],
        ["Well-known facts!", "well known  FACTS", "“well-known” facts..."],
        ["a 5-star hotel", "A 5 star hotel"],
        ["and/or", "and or"],
        ["- 5 apples", "* 5 apples", "**5 apples**"],
        ["x²", "x^2", "x ^ 2"],
        ["ﬁne", "FINE"],
        ["10%", "10 %"],
    ],
)
def test_case_spacing_and_punctuation_do_not_matter(alike: list[str]) -> None:
    assert len({normal(text) for text in alike}) == 1


@pytest.mark.parametrize(
    "different",
    [
        ["2+2", "2-2", "2*2", "2/2", "2 2", "22", "2^2", "2=2", "2<2", "2>2"],
        ["-5", "5", "5%", "$5", "£5"],
        ["1.5", "15", "1 5"],
        ["C", "C++", "C#"],
        ["x²", "x2", "x"],
        ["f(x) - g(x)", "f(x) + g(x)", "f(x) g(x)"],
        ["3 != 4", "3 = 4", "3 ≠ 4"],
    ],
)
def test_operators_and_digits_are_kept_apart(different: list[str]) -> None:
    assert len({normal(text) for text in different}) == len(different)


TEXTS = st.text(st.sampled_from("ab1.2+-*/=<>^%$#!?, \n\tÄé²½–−∪'(){}C"), max_size=40)


@given(TEXTS)
def test_pieces_are_the_words_in_their_own_case_and_lose_nothing_between(text: str) -> None:
    found, gaps = pieces(text)
    assert [w.casefold() for w in found] == words(text)
    assert len(gaps) == len(found) + 1


@given(TEXTS, st.sampled_from([" ", "  ", "\n", " \t "]))
def test_other_spacing_says_the_same(text: str, space: str) -> None:
    assert words(text.replace(" ", space)) == words(text)
