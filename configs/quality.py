"""The quality of rows: which checks are made, their limits, and what a finding does."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from configs.section import Section, rule_error

PatternKind = Literal["email", "phone", "card", "iban", "ip"]
PresidioKind = Literal[
    "person",
    "location",
    "date",
    "passport",
    "driver_licence",
    "national_id",
    "tax_id",
    "health_id",
    "bank_account",
]
PersonalKind = PatternKind | PresidioKind
SecretKind = Literal["api_key", "private_key", "jwt", "connection_string", "credential"]
Action = Literal["report", "redact", "quarantine"]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""A language as ISO 639-1 names it."""

PATTERN_KINDS: tuple[PatternKind, ...] = get_args(PatternKind)
PRESIDIO_KINDS: tuple[PresidioKind, ...] = get_args(PresidioKind)
PERSONAL_KINDS: tuple[PersonalKind, ...] = (*PATTERN_KINDS, *PRESIDIO_KINDS)
SECRET_KINDS: tuple[SecretKind, ...] = get_args(SecretKind)


class Personal(Section):
    """Personal data. Reported by default: chat rows hold made-up addresses and numbers, too."""

    kinds: tuple[PersonalKind, ...] = PATTERN_KINDS
    action: Action = "report"
    engine: Literal["patterns", "presidio"] = Field(
        "patterns", description="presidio: Microsoft Presidio's recognizers (extra 'pii')"
    )

    @model_validator(mode="after")
    def _engine_knows_kinds(self) -> "Personal":
        own = [kind for kind in self.kinds if kind in PRESIDIO_KINDS]
        if own and self.engine == "patterns":
            raise rule_error(
                f"no pattern tells '{own[0]}' from other words",
                path=("kinds",),
                fix="write engine: presidio, or leave that kind out.",
            )
        return self


class Secrets(Section):
    """Keys and passwords. Quarantined by default: what is found is rarely anything else."""

    kinds: tuple[SecretKind, ...] = SECRET_KINDS
    action: Action = "quarantine"


class Mojibake(Section):
    """Text that was decoded with a wrong encoding, as ftfy counts it."""

    max_badness: NonNegativeInt = Field(1, description="unlikely pairs of characters of a text")
    max_share: float = Field(0.05, ge=0, le=1, description="of them a character of a text")
    action: Literal["report", "quarantine"] = "quarantine"


class LanguageLimits(Section):
    """When a row's language is sure enough to find the row by."""

    min_chars: NonNegativeInt = Field(60, description="shorter rows are never found")
    min_confidence: float = Field(0.5, ge=0, le=1, description="below it a row is not found")
    action: Literal["report", "quarantine"] = "quarantine"


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


CheckName = Literal[
    "format",
    "empty",
    "alternation",
    "first_user",
    "last_assistant",
    "reserved_tokens",
    "control_characters",
    "length",
    "unknown_fields",
    "reasoning_place",
    "tool_place",
    "tools_missing",
    "tool_unknown",
    "tool_id_twice",
    "tool_result_early",
    "tool_result_twice",
    "tool_result_missing",
    "tool_name_twice",
    "tool_undescribed",
    "tool_untyped",
    "pair_equal",
    "pair_empty",
    "pair_no_prompt",
    "reference_missing",
    "reference_answered",
    "missing_label",
    "duplicate",
    "label_conflict",
    "inconsistent_system",
    "inconsistent_tools",
    "inconsistent_reasoning",
    "row_count",
]


CHECKS: tuple[CheckName, ...] = get_args(CheckName)


Severity = Literal["report", "quarantine", "block"]


Target = Literal["none", "bedrock", "nova-lite-2-sft", "nova-lite-2-rft", "nova-lite-2-job"]


class NearDuplicates(Section):
    """When two texts say the same but for details: Jaccard similarity of their n-gram sets."""

    threshold: float = Field(0.8, ge=0.5, le=1, description="at least this similar")
    words: PositiveInt = Field(5, le=13, description="n of the word n-grams")
    chars: PositiveInt = Field(5, le=13, description="n of the character n-grams of short texts")
    short_words: PositiveInt = Field(20, ge=13, description="texts below are short")


class Quality(Section):
    """Which findings count and what a source may lose before it is blocked."""

    checks: tuple[CheckName, ...] = CHECKS
    severity: dict[CheckName, Severity] = Field(
        default_factory=dict,
        description="what a check's finding does, where it isn't its default: report (count it), "
        "quarantine (set the rows aside) or block (the source)",
    )
    target: Target = Field("none", description="the service whose rules the rows must keep, too")
    sanitise: bool = Field(
        False, description="take reserved tokens out of texts instead of setting rows aside"
    )
    on_fail: Literal["quarantine", "block"] = "quarantine"
    max_quarantine: float = Field(0.2, ge=0, le=1, description="above this share a source blocks")
    min_rows: PositiveInt = Field(1, description="fewer clean training rows block a source")
    max_chars: PositiveInt = Field(16_000, description="longest text of a row, in characters")
    near_duplicates: NearDuplicates | None = Field(None, description="off when absent")
    expectations: str | None = Field(None, description="a Great Expectations suite of yours (JSON)")
    min_chars: NonNegativeInt = Field(0, description="shortest text of a row, in characters")
    text_rules: Literal["auto", "on", "off"] = Field(
        "auto", description="rules for prose; auto: plain-text rows, which chat rows would fail"
    )
    rules: TextRules = TextRules()
    mojibake: Mojibake | None = Mojibake()
    languages: tuple[LanguageCode, ...] = Field((), description="wanted, e.g. [en]; empty: any")
    language: LanguageLimits = LanguageLimits()
    pii: Personal | None = Personal()
    secrets: Secrets | None = Secrets()
    min_class_rows: NonNegativeInt = Field(5, description="fewer training rows of a class: warn")
    max_class_share: float = Field(0.9, gt=0, le=1, description="a larger class: warn")

    @model_validator(mode="after")
    def _severities_can_be(self) -> "Quality":
        if self.severity.get("format") == "report":
            raise rule_error("severity.format can't be 'report': such rows can't be used at all")
        if self.severity.get("row_count") == "quarantine":
            raise rule_error("severity.row_count is 'report' or 'block': it is about no single row")
        return self


def override(quality: Quality, own: Quality | None) -> Quality:
    """Return a recipe's section with what a source's own says in its place, key by key."""
    if own is None:
        return quality
    return quality.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
