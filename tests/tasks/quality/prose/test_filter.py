"""Each rule finds its planted text; together they agree with datatrove's filters."""

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from configs.quality import C4, FineWeb, Gopher, Repetition, TextRules
from tasks.quality.prose.filter import ProseFilter
from tasks.quality.prose.tokenizer import split_piece

PROSE = (
    "The harbour was quiet that morning, and the boats lay low with the tide. A man in a green "
    "coat walked along the wall to look at the nets. He had been there every day since the "
    "storm, they said, but nobody knew what he wanted to find. Two children followed him with "
    "a small dog and asked questions about the sea. He answered all of them with great patience. "
    "At noon a bell rang from the church, so he turned back to the town.\n"
)


@pytest.fixture(scope="module")
def prose() -> ProseFilter:
    return ProseFilter(TextRules())


def _found(prose: ProseFilter, text: str) -> list[str]:
    return [name for name, hit in prose.find(pa.array([text])).items() if hit[0]]


def test_prose_is_found_by_no_rule(prose: ProseFilter) -> None:
    assert _found(prose, PROSE) == []


def _varied(words: int) -> str:
    return " ".join(f"word{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}x" for i in range(words))


PLANTED = {
    "gopher_few_words": "The cat and the dog.",
    "gopher_short_words": PROSE + " ".join(a + b for a in "abcdefgh" for b in "klmnopqrst") * 5,
    "gopher_long_words": PROSE + " ".join("qwertyuiopasdfgh" + w for w in _varied(200).split()),
    "gopher_hashes": PROSE + " # " * 15,
    "gopher_ellipses": PROSE.replace(", ", "... ").replace(". ", "... ").replace(" a ", " a... "),
    "gopher_bullets": "- " + PROSE.strip().replace(". ", ".\n- "),
    "gopher_cut_lines": PROSE.replace(". ", "...\n"),
    "gopher_not_alphabetic": PROSE + " ".join(str(i * 7919) for i in range(40)),
    "gopher_few_stop_words": _varied(120),
    "repeated_paragraphs": "\n\n".join([PROSE.strip(), "short", "short", "short"]),
    "repeated_paragraph_text": "\n\n".join([PROSE, PROSE, _varied(9), _varied(8), _varied(7)]),
    "repeated_lines": PROSE + "x\n" * 4,
    "repeated_line_text": "\n".join([PROSE, _varied(5), PROSE, _varied(9), _varied(8), _varied(7)]),
    "top_2_gram": PROSE + "over there " * 30,
    "repeated_10_grams": PROSE + _varied(281) + PROSE.replace("\n", " "),
    "no_text": "",
    "c4_lorem_ipsum": PROSE + "Lorem ipsum is what it says here.\n",
    "c4_curly_bracket": PROSE + "And a {bracket} stands in this line.\n",
    "c4_few_sentences": PROSE.replace(". ", "\n"),
    "fineweb_blank": " \n \n",
    "fineweb_unfinished_lines": PROSE.replace(". ", "\n").replace(".", ""),
    "fineweb_short_lines": PROSE + "A man.\nA dog.\nA sea.\n",
    "fineweb_repeated_lines": PROSE + PROSE,
    "fineweb_list": "\n".join(f"{w}{'a' * 12} {w}{'b' * 12}." for w in _varied(40).split()),
    "many_addresses": "See https://example.org/a/very/long/address/indeed?q=1 here.",
    "few_letters": "=== ... --- !!! ### a b ***",
}


@pytest.mark.parametrize(("rule", "text"), PLANTED.items())
def test_a_rule_finds_its_planted_text(prose: ProseFilter, rule: str, text: str) -> None:
    assert rule in _found(prose, text)


def test_a_family_that_is_null_is_not_asked() -> None:
    names = ProseFilter(TextRules(c4=None, fineweb=None)).find(pa.array(["x"])).keys()
    assert not any(name.startswith(("c4", "fineweb")) for name in names)
    assert "gopher_few_words" in names


def test_thresholds_of_a_recipe_are_used() -> None:
    lax = TextRules(
        gopher=Gopher(min_words=0, min_stop_words=0, max_symbols=None, min_alphabetic=0),
        repetition=Repetition(max_top_grams=(1, 1, 1)),
        c4=C4(min_sentences=0),
        fineweb=FineWeb(min_whole_lines=None, max_short_lines=None),
    )
    text = "A cat # sat ... there"
    assert len(_found(ProseFilter(TextRules()), text)) == 4
    assert _found(ProseFilter(lax), text) == []


def test_null_and_empty_arrays_are_judged() -> None:
    found = ProseFilter(TextRules()).find(pa.array([None, ""], pa.string()))
    assert found["no_text"].tolist() == [True, True]
    assert len(ProseFilter(TextRules()).find(pa.array([], pa.string()))["no_text"]) == 0


def test_what_a_text_is_found_by_does_not_depend_on_its_neighbours(prose: ProseFilter) -> None:
    texts = list(PLANTED.values()) * 3
    together = ProseFilter(TextRules()).codes(pa.chunked_array([texts[:7], texts[7:]]))
    sliced = ProseFilter(TextRules()).codes(pa.array(["x", *texts]).slice(1))
    alone = np.concatenate([prose.codes(pa.array([text])) for text in texts])
    assert (together == alone).all()
    assert (sliced == alone).all()


def _generated(rng: random.Random) -> str:
    sentences = [s for s in PROSE.strip().split(". ") if s] + [_varied(n) for n in (4, 9, 15)]
    extra = [
        "[1]",
        "[edit]",
        "[citation needed]",
        "{",
        "lorem ipsum",
        "JavaScript",
        "use cookies",
        "...",
        "…",
        "#",
        "•",
        "- x",
        "\t",
        "  ",
        "\n",
        "\n\n",
        "\r\n",
        "\u2028",
        "\xa0",
        "é",
        "e.g.",
        "Mr. X",
        '?"',
        "!)",
        " [12] [3].",
    ]
    parts = rng.choices(sentences, k=rng.randint(1, 14))
    text = rng.choice((". ", ".\n", "\n\n", " ")).join(parts) + rng.choice((".", "", "\n", '."'))
    for _ in range(rng.choice((0, 0, 1, 2, 6))):
        place = rng.randint(0, len(text))
        text = text[:place] + rng.choice(extra) * rng.choice((1, 1, 3)) + text[place:]
    return text


def _same_words() -> Any:
    """A tokenizer for datatrove that divides as ours, so that the rules alone are compared."""
    from datatrove.utils.word_tokenizers import WordTokenizer

    from tasks.quality.prose.tokenizer import SENTENCE_ENDS

    class Same(WordTokenizer):
        def word_tokenize(self, text: str) -> list[str]:
            return [word for piece in text.split() for word in split_piece(piece)]

        def sent_tokenize(self, text: str) -> list[str]:
            raise NotImplementedError

        def span_tokenize(self, text: str) -> list[tuple[int, int]]:
            import re
            import unicodedata

            number, ended = 1, False
            for found in re.finditer(r"\s+|\S+", text):
                piece = found.group()
                for word in [piece] if piece.isspace() else split_piece(piece):
                    if piece == " ":
                        continue
                    mark = all(unicodedata.category(c).startswith("P") for c in word)
                    if ended and not mark and word not in SENTENCE_ENDS:
                        number, ended = number + 1, False
                    elif word in SENTENCE_ENDS:
                        ended = True
            return [(0, len(text))] * number

    return Same()


REASONS = {
    "gopher": [
        "gopher_short_doc",
        "gopher_long_doc",
        "gopher_below_avg_threshold",
        "gopher_above_avg_threshold",
        "gopher_too_many_hashes",
        "gopher_too_many_ellipsis",
        "gopher_too_many_bullets",
        "gopher_too_many_end_ellipsis",
        "gopher_below_alpha_threshold",
        "gopher_enough_stop_words",
    ],
    "repetition": [
        "dup_para_frac",
        "dup_para_char_frac",
        "dup_line_frac",
        "dup_line_char_frac",
        "top_2_gram",
        "top_3_gram",
        "top_4_gram",
        *(f"duplicated_{n}_n_grams" for n in range(5, 11)),
        "empty",
    ],
    "c4": ["lorem_ipsum", "curly_bracket", "too_few_sentences"],
    "fineweb": ["empty", "line_punct_ratio", "short_line_ratio", "char_dup_ratio", "list_ratio"],
}


def _agree(texts: list[str], language: Any) -> None:
    from datatrove.data import Document
    from datatrove.pipeline import filters

    codes = ProseFilter(TextRules()).codes(pa.array(texts))
    made = (
        filters.GopherQualityFilter,
        filters.GopherRepetitionFilter,
        filters.C4QualityFilter,
        filters.FineWebQualityFilter,
    )
    for column, (family, kind) in enumerate(zip(REASONS, made, strict=True)):
        peer = kind(language=language) if language else kind()
        for row, text in enumerate(texts):
            said = peer.filter(Document(text=text, id=""))
            wanted = 0 if said is True else REASONS[family].index(said[1]) + 1
            assert codes[row, column] == wanted, (family, said, text)


def test_generated_texts_are_dropped_for_datatroves_reasons() -> None:
    pytest.importorskip("datatrove", reason="compares with datatrove, which the extra 'dev' has")
    rng = random.Random(11)
    _agree(
        [*(_generated(rng) for _ in range(300)), *PLANTED.values(), " ", "\n", "a\n\n\nb"],
        _same_words(),
    )


@pytest.mark.shared_data
def test_real_texts_are_dropped_for_datatroves_reasons_with_its_own_words(shared_data: Any) -> None:
    pytest.importorskip("datatrove", reason="compares with datatrove, which the extra 'dev' has")
    pytest.importorskip("spacy", reason="datatrove divides English by spaCy, which 'dev' has")
    import gzip
    import json

    rng = random.Random(13)
    texts = []
    with gzip.open(shared_data / "dolly_partial" / "dolly_first_rows_no_context.jsonl.gz") as file:
        for line in file:
            texts += [v for v in json.loads(line).values() if isinstance(v, str) and len(v) > 200]
    joined = ["\n\n".join(rng.sample(texts, 3)) for _ in range(60)]
    _agree([*rng.sample(texts, 150), *joined], None)
