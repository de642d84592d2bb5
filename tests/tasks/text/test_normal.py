import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.text.normal import fold, normal, pieces, words


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


@pytest.mark.parametrize(
    "different",
    [
        ["Great service 👍", "Great service 👎", "Great service 😡", "Great service"],
        ["Nice day :)", "Nice day :(", "Nice day"],
        ["เสือ", "เสื้อ", "เสื่อ"],
        ["ขาว", "ข้าว", "ข่าว"],
        ["की", "का", "कि", "क"],
        ["கா", "கி", "க"],
        ["סֵפֶר", "סָפַר", "סַפָּר"],
        ["عَلِمَ", "عُلِمَ", "عَلَّمَ"],
        ["ma", "má", "mà", "mả", "mã", "mạ"],
        ["か", "が"],
        ["각", "가"],
        ["✓", "✗", "★", "★ ★"],
    ],
)
def test_marks_and_pictures_make_other_words(different: list[str]) -> None:
    for form in ("NFC", "NFD"):
        texts = [unicodedata.normalize(form, text) for text in different]
        assert len({normal(text) for text in texts}) == len(different)


@pytest.mark.parametrize(
    "alike",
    [
        ["I ❤️ it", "I ❤ it", "i ❤︎ it!"],
        ["می‌خواهم", "میخواهم"],
        ["co­operate", "cooperate"],
        ["\ufeffשלום‏", "שלום"],
        ["İSTANBUL", "istanbul", "Istanbul"],
        ["ﾊﾝｶｸ", "ハンカク"],
    ],
)
def test_what_is_not_seen_does_not_matter(alike: list[str]) -> None:
    assert len({normal(text) for text in alike}) == 1


SCRIPTS = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0x1FFFF, exclude_categories=["Cs", "Cn"])
    | st.sampled_from("aé ก้ิ्कி가각がáờ👍🏽❤️‍؟。"),
    max_size=30,
)


@given(SCRIPTS)
def test_both_normal_forms_say_the_same_in_every_script(text: str) -> None:
    one, other = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert words(one) == words(other)
    assert fold(one) == fold(other)


@given(SCRIPTS)
def test_a_folded_text_folds_to_itself(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert fold(f"  {text.upper()}\t") == fold(text.upper())


@given(SCRIPTS)
def test_every_letter_digit_and_picture_is_in_a_word(text: str) -> None:
    said = "".join(pieces(text)[0])
    for sign in unicodedata.normalize("NFKC", text):
        if unicodedata.category(sign) in ("Ll", "Lo", "Nd") or "👀" <= sign <= "🙏":
            assert sign in said


TEXTS = st.text(st.sampled_from("ab1.2+-*/=<>^%$#!?, \n\tÄé²½–−∪'(){}C"), max_size=40)


@given(TEXTS)
def test_pieces_are_the_words_in_their_own_case_and_lose_nothing_between(text: str) -> None:
    found, gaps = pieces(text)
    assert [w.casefold() for w in found] == words(text)
    assert len(gaps) == len(found) + 1


@given(TEXTS, st.sampled_from([" ", "  ", "\n", " \t "]))
def test_other_spacing_says_the_same(text: str, space: str) -> None:
    assert words(text.replace(" ", space)) == words(text)
