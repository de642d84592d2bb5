"""Thresholds of the rules for plain text: as published, each of them can be changed."""

from pydantic import Field, NonNegativeInt, PositiveInt

from configs.section import Section

Share = float | None


def _most(value: float, description: str) -> Share:
    found: Share = Field(value, ge=0, description=f"{description}; null: not asked")
    return found


class Gopher(Section):
    """What a document of prose is like (Rae et al. 2021, appendix A)."""

    min_words: NonNegativeInt = Field(50, description="words other than marks alone")
    max_words: PositiveInt = 100_000
    min_word_length: float = Field(3, ge=0, description="mean, in characters")
    max_word_length: float = Field(10, gt=0, description="mean, in characters")
    max_symbols: Share = _most(0.1, "hashes, or ellipses, a word")
    max_bullet_lines: Share = _most(0.9, "share of lines that start with a bullet")
    max_ellipsis_lines: Share = _most(0.3, "share of lines that end with an ellipsis")
    min_alphabetic: float = Field(0.8, ge=0, le=1, description="share of words with a letter")
    min_stop_words: NonNegativeInt = Field(2, le=8, description="of the, be, to, of, and, ...")


class Repetition(Section):
    """How much of a document may repeat (Rae et al. 2021, table A1)."""

    max_paragraphs: Share = _most(0.3, "share of paragraphs that occurred before")
    max_paragraph_chars: Share = _most(0.2, "their share of characters")
    max_lines: Share = _most(0.3, "share of lines that occurred before")
    max_line_chars: Share = _most(0.2, "their share of characters")
    max_top_grams: tuple[float, float, float] = Field(
        (0.2, 0.18, 0.16), description="characters in the commonest 2-, 3- and 4-gram"
    )
    max_grams: tuple[float, float, float, float, float, float] = Field(
        (0.15, 0.14, 0.13, 0.12, 0.11, 0.10),
        description="characters in 5- to 10-grams that occurred before",
    )


class C4(Section):
    """Documents of whole sentences (Raffel et al. 2020, section 2.2); lines are judged first."""

    min_sentences: NonNegativeInt = Field(5, description="in lines that are kept")
    min_line_words: NonNegativeInt = 3
    max_word_chars: PositiveInt = Field(1000, description="a line with a longer word is not kept")
    terminal_mark: bool = Field(True, description="a line must end like a sentence to be kept")
    remove_citations: bool = Field(True, description="read [1] and [edit] as nothing")
    lorem_ipsum: bool = Field(True, description="find filler text")
    javascript: bool = Field(True, description="a line that names it is not kept")
    curly_bracket: bool = Field(True, description="find program code")
    policy: bool = Field(True, description="lines on cookies and terms of use are not kept")


class FineWeb(Section):
    """Lines and lists (Penedo et al. 2024, section 3.6)."""

    min_whole_lines: Share = _most(0.12, "share of lines that end like a sentence, at least")
    max_short_lines: Share = _most(0.67, "share of short lines")
    short_line: PositiveInt = Field(30, description="characters of the longest short line")
    max_line_chars: Share = _most(0.01, "characters in lines that occurred before")
    max_line_ends: Share = _most(0.3, "line ends a word")


class Signs(Section):
    """What a text is made of, in characters other than white space."""

    max_addresses: Share = _most(0.2, "share of characters in web addresses")
    min_alphanumeric: Share = _most(0.25, "share of letters and digits, at least")


class TextRules(Section):
    """The families of rules; a family that is null is not asked."""

    gopher: Gopher | None = Gopher()
    repetition: Repetition | None = Repetition()
    c4: C4 | None = C4()
    fineweb: FineWeb | None = FineWeb()
    signs: Signs | None = Signs()
