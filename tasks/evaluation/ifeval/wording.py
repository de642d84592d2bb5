"""Rules on what words, letters and languages an answer is made of."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import regex

from tasks.evaluation.ifeval.language import language_of, sentences, tokens

# What an instruction says about itself: its arguments, read and checked.

Args = Mapping[str, Any]
Kind = Callable[[Any], bool]
AT_LEAST, LESS_THAN = "at least", "less than"


class Rule(NamedTuple):
    """An instruction's rule.

    Attributes:
        kept: Whether a text keeps it, given its arguments.
        takes: The arguments it needs, each with the kind of value it takes.
        libraries: Whether it needs the extra's libraries.
    """

    kept: Callable[[str, Args], bool]
    takes: Mapping[str, Kind] = {}
    libraries: bool = False


def is_count(value: Any) -> bool:
    """Return whether a value is a whole number from 0 on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_place(value: Any) -> bool:
    """Return whether a value is a whole number from 1 on."""
    return is_count(value) and value > 0


def is_relation(value: Any) -> bool:
    """Return whether a value says how a number is compared."""
    return value in (AT_LEAST, LESS_THAN)


def is_text(value: Any) -> bool:
    """Return whether a value is a text with something in it."""
    return isinstance(value, str) and bool(value.strip())


def is_letter(value: Any) -> bool:
    """Return whether a value is one character."""
    return is_text(value) and len(value.strip()) == 1


def are_texts(value: Any) -> bool:
    """Return whether a value is a list of texts, at least one."""
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


SAID: Mapping[Kind, str] = {
    is_count: "a whole number from 0 on",
    is_place: "a whole number from 1 on",
    is_relation: f"'{AT_LEAST}' or '{LESS_THAN}'",
    is_text: "a text",
    is_letter: "one character",
    are_texts: "a list of texts",
}
"""Every kind of value in words."""


def holds(number: int, relation: str, bound: int) -> bool:
    """Return whether ``number`` is at least, or less than, ``bound``."""
    return number < bound if relation == LESS_THAN else number >= bound


_MARKS = frozenset(".,?!'\"")
# A word's signs and joiners are part of it, as in NLTK since 3.10; the standard library's \w would
# cut Hindi at every vowel.
_WORD = regex.compile(r"\w+")


def _has_all(text: str, args: Args) -> bool:
    return all(_times(word, text) for word in args["keywords"])


def _often(text: str, args: Args) -> bool:
    return holds(_times(args["keyword"].strip(), text), args["relation"], args["frequency"])


def _times(word: str, text: str) -> int:
    """Return how often a word occurs, inside others too; case doesn't count."""
    return len(re.findall(re.escape(word), text, re.IGNORECASE))


def _has_none(text: str, args: Args) -> bool:
    words = "|".join(map(re.escape, args["forbidden_words"]))
    return re.search(rf"(?<!\w)(?:{words})(?!\w)", text, re.IGNORECASE) is None


def _letters(text: str, args: Args) -> bool:
    found = text.lower().count(args["letter"].strip().lower())
    return holds(found, args["let_relation"], args["let_frequency"])


def _capitals(text: str, args: Args) -> bool:
    found = sum(token.isupper() for token in tokens(text))
    return holds(found, args["capital_relation"], args["capital_frequency"])


def _sentences(text: str, args: Args) -> bool:
    return holds(len(sentences(text)), args["relation"], args["num_sentences"])


def _words(text: str, args: Args) -> bool:
    return holds(len(_WORD.findall(text)), args["relation"], args["num_words"])


def _opening_word(text: str, args: Args) -> bool:
    # Blank stretches aren't counted as paragraphs, and yet the n-th is counted with them.
    stretches = text.split("\n\n")
    full = sum(bool(s.strip()) for s in stretches)
    place = args["nth_paragraph"]
    if full != args["num_paragraphs"] or place > full or not stretches[place - 1].strip():
        return False
    first = stretches[place - 1].split()[0].lstrip("'").lstrip('"')
    end = next((i for i, sign in enumerate(first) if sign in _MARKS), len(first))
    return bool(first[:end].lower() == args["first_word"].lower())


def _in_language(text: str, args: Args) -> bool:
    return language_of(text) in (args["language"], None)


def _upper(text: str, _: Args) -> bool:
    return text.isupper() and language_of(text) in ("en", None)


def _lower(text: str, _: Args) -> bool:
    return text.islower() and language_of(text) in ("en", None)


def _no_comma(text: str, _: Args) -> bool:
    return "," not in text


RULES: dict[str, Rule] = {
    "keywords:existence": Rule(_has_all, {"keywords": are_texts}),
    "keywords:frequency": Rule(
        _often, {"keyword": is_text, "relation": is_relation, "frequency": is_count}
    ),
    "keywords:forbidden_words": Rule(_has_none, {"forbidden_words": are_texts}),
    "keywords:letter_frequency": Rule(
        _letters, {"letter": is_letter, "let_relation": is_relation, "let_frequency": is_count}
    ),
    "language:response_language": Rule(_in_language, {"language": is_text}, True),
    "length_constraints:number_sentences": Rule(
        _sentences, {"relation": is_relation, "num_sentences": is_count}, True
    ),
    "length_constraints:number_words": Rule(
        _words, {"relation": is_relation, "num_words": is_count}
    ),
    "length_constraints:nth_paragraph_first_word": Rule(
        _opening_word,
        {"num_paragraphs": is_place, "nth_paragraph": is_place, "first_word": is_text},
    ),
    "change_case:capital_word_frequency": Rule(
        _capitals, {"capital_relation": is_relation, "capital_frequency": is_count}, True
    ),
    "change_case:english_capital": Rule(_upper, {}, True),
    "change_case:english_lowercase": Rule(_lower, {}, True),
    "punctuation:no_comma": Rule(_no_comma),
}
"""Twelve of the 25 rules."""


# Rules on how an answer is laid out: its parts, marks, beginning and end.

_CHOICES = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_PLACEHOLDER = re.compile(r"\[.*?\]")
_STARRED = re.compile(r"^\s*\*[^*].*", re.MULTILINE)
_DASHED = re.compile(r"^\s*-", re.MULTILINE)
_LIGHT = re.compile(r"\*([^\n*]*)\*")
_BOLD = re.compile(r"\*\*([^\n*]*)\*\*")
_TITLE = re.compile(r"<<[^\n]+>>")
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
_FENCES = ("```json", "```Json", "```JSON", "```")


def _paragraphs(text: str, args: Args) -> bool:
    parts = [part.strip() for part in text.split("***")]
    if not all(parts[1:-1]):
        return False
    return sum(map(bool, parts)) == int(args["num_paragraphs"])


def _placeholders(text: str, args: Args) -> bool:
    return len(_PLACEHOLDER.findall(text)) >= int(args["num_placeholders"])


def _postscript(text: str, args: Args) -> bool:
    marker = args["postscript_marker"].strip()
    pattern = _POSTSCRIPTS.get(marker, re.escape(marker.lower()))
    return re.search(pattern, text.lower()) is not None


def _bullets(text: str, args: Args) -> bool:
    found = len(_STARRED.findall(text)) + len(_DASHED.findall(text))
    return found == int(args["num_bullets"])


def _constrained(text: str, _: Args) -> bool:
    return any(choice in text for choice in _CHOICES)


def _highlights(text: str, args: Args) -> bool:
    # The two stars of bold text enclose a highlight of their own, of nothing, which isn't counted.
    found = [*_LIGHT.findall(text), *_BOLD.findall(text)]
    return sum(bool(inside.strip()) for inside in found) >= int(args["num_highlights"])


def _sections(text: str, args: Args) -> bool:
    heading = re.escape(args["section_spliter"].strip()) + r"\s?\d+"
    return len(re.findall(heading, text)) >= int(args["num_sections"])


def _json(text: str, _: Args) -> bool:
    inside = text.strip()
    for fence in _FENCES:
        inside = inside.removeprefix(fence)
    try:
        json.loads(inside.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, _: Args) -> bool:
    return any(t.lstrip("<").rstrip(">").strip() for t in _TITLE.findall(text))


def _two_answers(text: str, _: Args) -> bool:
    parts = [part.strip() for part in text.split("******")]
    full = [part for part in parts if part]
    return all(parts[1:-1]) and len(full) == 2 and full[0] != full[1]


def _repeats(text: str, args: Args) -> bool:
    return text.strip().lower().startswith(args["prompt_to_repeat"].strip().lower())


def _ends(text: str, args: Args) -> bool:
    return text.strip().strip('"').lower().endswith(args["end_phrase"].strip().lower())


def _quoted(text: str, _: Args) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


LAYOUT_RULES: dict[str, Rule] = {
    "length_constraints:number_paragraphs": Rule(_paragraphs, {"num_paragraphs": is_count}),
    "detectable_content:number_placeholders": Rule(_placeholders, {"num_placeholders": is_count}),
    "detectable_content:postscript": Rule(_postscript, {"postscript_marker": is_text}),
    "detectable_format:number_bullet_lists": Rule(_bullets, {"num_bullets": is_count}),
    "detectable_format:constrained_response": Rule(_constrained),
    "detectable_format:number_highlighted_sections": Rule(
        _highlights, {"num_highlights": is_count}
    ),
    "detectable_format:multiple_sections": Rule(
        _sections, {"section_spliter": is_text, "num_sections": is_count}
    ),
    "detectable_format:json_format": Rule(_json),
    "detectable_format:title": Rule(_title),
    "combination:two_responses": Rule(_two_answers),
    "combination:repeat_prompt": Rule(_repeats, {"prompt_to_repeat": is_text}),
    "startend:end_checker": Rule(_ends, {"end_phrase": is_text}),
    "startend:quotation": Rule(_quoted),
}
"""Thirteen of the 25 rules."""
