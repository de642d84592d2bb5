import random

import pytest

from tasks.quality.prose.tokenizer import special_words, split_piece

SPACY = {
    "can't": "ca n't",
    "cannot": "can not",
    "e.g.": "e.g.",
    "5p.m.": "5 p.m.",
    "$5.50": "$ 5.50",
    "10km": "10 km",
    "U.S.": "U.S.",
    "U.S.A.": "U.S.A.",
    "don’t": "do n’t",
    "and/or": "and/or",
    "well-known": "well - known",
    "2020-21": "2020 - 21",
    "3+4": "3 + 4",
    "end...": "end ...",
    "wait…what": "wait … what",
    "foo.Bar": "foo . Bar",
    "a,b": "a , b",
    "'tis": "' tis",
    "dogs'": "dogs '",
    "John's": "John 's",
    "id.": "i d.",
    "(o:x": "(o: x",
    "8-)": "8-)",
    "x=y": "x = y",
    "C++": "C++",
    "100%": "100 %",
    "😀😀": "😀 😀",
    "naïve.": "naïve .",
    "“quoted”": "“ quoted ”",
    "mail@x.org": "mail@x.org",
    "#tag": "# tag",
    "Mr.": "Mr.",
    "Ph.D.,": "Ph.D. ,",
    "--": "--",
    "rock'n'roll": "rock'n'roll",
    "I'm": "I 'm",
    "gonna": "gon na",
    "1,000.50": "1,000.50",
    "[12]": "[ 12 ]",
    "f(x)": "f(x )",
    "_x_": "_ x _",
    "°C.": "° C .",
    "中文。": "中文 。",
    "km/h": "km / h",
    "5km/h": "5 km/h",
    "https://a.b/c).": "https://a.b / c ) .",
    "A.": "A.",
    "AB.": "AB .",
    "aB.": "aB.",
    "x..": "x ..",
    "!!": "! !",
    "http://x.com/a?b=c).": "http://x.com/a?b=c ) .",
}
"""Piece -> its words, as spaCy 3.8.18's English tokenizer gives them."""


@pytest.mark.parametrize(("piece", "words"), SPACY.items())
def test_a_piece_is_divided_as_the_reference_divides_it(piece: str, words: str) -> None:
    assert split_piece(piece) == words.split()


def test_words_of_a_piece_joined_are_the_piece() -> None:
    rng = random.Random(3)
    parts = [
        *special_words(),
        *"aZ9.,-'\"()/:;=<>_#*&!?@$%€…°+^~|\\[]{}é中😀",
        "http://",
        "www.a.de",
    ]
    for _ in range(3_000):
        piece = "".join(rng.choices(parts, k=rng.randint(1, 6)))
        assert "".join(split_piece(piece)) == piece


def test_random_pieces_are_divided_as_spacy_divides_them() -> None:
    spacy = pytest.importorskip("spacy", reason="compares with spaCy, which the extra 'dev' has")
    tokenizer = spacy.blank("en").tokenizer
    rng = random.Random(5)
    parts = [
        *special_words(),
        *"abzAZ019.,-'’\"()/:;=<>_#*&!?@$%€…°+^~|\\[]{}éßя中😀™",
        "--",
        "US$",
    ]
    for _ in range(5_000):
        piece = "".join(rng.choices(parts, k=rng.randint(1, 8)))
        assert split_piece(piece) == [token.text for token in tokenizer(piece)], piece
