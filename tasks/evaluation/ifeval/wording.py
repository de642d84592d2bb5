"""Rules on what words, letters and languages an answer is made of."""

import re

import regex

from tasks.evaluation.ifeval.arguments import (
    Args,
    Rule,
    are_texts,
    holds,
    is_count,
    is_letter,
    is_place,
    is_relation,
    is_text,
)
from tasks.evaluation.ifeval.language import language_of, sentences, tokens

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
