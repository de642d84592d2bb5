import importlib.util
import re
from typing import Any

import pytest

from tasks.evaluation.ifeval.verdicts import RULES, Instruction, judge, problem, readings

libraries = pytest.mark.skipif(
    any(importlib.util.find_spec(m) is None for m in ("langdetect", "punkt", "nltk")),
    reason="the extra 'ifeval' isn't installed",
)


def kept(name: str, answer: str, **args: Any) -> bool:
    return judge(answer, [Instruction(name, args)])[0].strict


@pytest.mark.parametrize(
    ("name", "args", "keeps", "breaks"),
    [
        ("keywords:existence", {"keywords": ["tea", "Milk"]}, "TEAs and milk", "tea alone"),
        (
            "keywords:frequency",
            {"keyword": "tea", "relation": "at least", "frequency": 2},
            "tea, teapot",
            "tea",
        ),
        (
            "keywords:frequency",
            {"keyword": "c++", "relation": "less than", "frequency": 1},
            "c, cc",
            "C++",
        ),
        ("keywords:forbidden_words", {"forbidden_words": ["tea"]}, "teas, a_tea", "No Tea!"),
        (
            "keywords:letter_frequency",
            {"letter": "#", "let_relation": "at least", "let_frequency": 2},
            "# and #",
            "#",
        ),
        (
            "keywords:letter_frequency",
            {"letter": "E", "let_relation": "less than", "let_frequency": 2},
            "eat",
            "Eel",
        ),
        (
            "length_constraints:number_words",
            {"relation": "less than", "num_words": 4},
            "well-known fact",
            "it's a well",
        ),
        (
            "length_constraints:number_words",
            {"relation": "at least", "num_words": 2},
            "मुझे आज",
            "मुझे",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Tea"},
            "One.\n\n'\"Tea, and more",
            "One.\n\nTeas",
        ),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a\n***\nb\n***", "a b"),
        ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "a***b", "a*** ***b"),
        ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] []", "[a\n] [b]"),
        ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "p. p.s: x", "P.S. x"),
        ("detectable_content:postscript", {"postscript_marker": "P.S."}, "x P. S. y", "PS y"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 2}, " * a\n- b", "* a\n** b"),
        ("detectable_format:constrained_response", {}, "So: My answer is no.", "my answer is no."),
        (
            "detectable_format:number_highlighted_sections",
            {"num_highlights": 2},
            "*a* **b**",
            "*a* ** ** *b\n*",
        ),
        (
            "detectable_format:multiple_sections",
            {"section_spliter": "Part", "num_sections": 2},
            "Part 1 a Part2",
            "Part 1 part 2",
        ),
        ("detectable_format:json_format", {}, '```json\n{"a": 1}\n```', 'Here: {"a": 1}'),
        ("detectable_format:json_format", {}, "[1]", "[" * 100_000),
        ("detectable_format:title", {}, "<<a b>>\nx", "<< >> <<a\nb>>"),
        ("combination:two_responses", {}, "******a****** b", "a ****** a"),
        ("combination:two_responses", {}, "a******b", "a****** ******b"),
        (
            "combination:repeat_prompt",
            {"prompt_to_repeat": "Say HI. "},
            " say hi. hi",
            "Hi: Say HI.",
        ),
        ("startend:end_checker", {"end_phrase": "The End."}, 'so "the end." ', "the end. ok"),
        ("startend:quotation", {}, ' "a" ', '"'),
        ("punctuation:no_comma", {}, "a; b", "a, b"),
    ],
)
def test_a_rule_is_kept_by_one_answer_and_broken_by_another(
    name: str, args: dict[str, Any], keeps: str, breaks: str
) -> None:
    assert kept(name, keeps, **args)
    assert not kept(name, breaks, **args)


@libraries
@pytest.mark.parametrize(
    ("name", "args", "keeps", "breaks"),
    [
        (
            "language:response_language",
            {"language": "de"},
            "Heute scheint überall die Sonne.",
            "The sun is shining today.",
        ),
        ("language:response_language", {"language": "de"}, "12 %", "Hoy hace mucho sol aquí."),
        (
            "length_constraints:number_sentences",
            {"relation": "at least", "num_sentences": 2},
            "Dr. Hill left. He ran.",
            "Dr. Hill left at 5 p.m. today.",
        ),
        (
            "change_case:capital_word_frequency",
            {"capital_relation": "less than", "capital_frequency": 2},
            "NO-GO",
            "NO GO",
        ),
        ("change_case:english_capital", {}, "THE SUN IS SHINING TODAY.", "The SUN IS SHINING."),
        ("change_case:english_lowercase", {}, "the sun is shining.", "la luna es muy bonita hoy"),
    ],
)
def test_a_rule_that_reads_english_is_kept_and_broken(
    name: str, args: dict[str, Any], keeps: str, breaks: str
) -> None:
    assert kept(name, keeps, **args)
    assert not kept(name, breaks, **args)


def test_every_published_rule_is_there() -> None:
    assert len(RULES) == 25


def test_an_empty_answer_keeps_nothing() -> None:
    for answer in ("", " \n "):
        (verdict,) = judge(answer, [Instruction("punctuation:no_comma", {})])
        assert verdict == (False, False)


def test_loosely_a_line_around_the_answer_and_asterisks_are_forgiven() -> None:
    quoted, commas = Instruction("startend:quotation", {}), Instruction("punctuation:no_comma", {})
    (around,) = judge('Sure:\n"tea"\nBye', [quoted])
    assert around == (False, True)
    (starred,) = judge('*"tea"*', [quoted])
    assert starred == (False, True)
    assert judge("a, b\nc", [commas]) == [(False, True)]
    assert judge("a, b, c", [commas]) == [(False, False)]
    assert len(readings("a\nb\nc")) == 8


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("keywords:rhyme", {}, "no rule 'keywords:rhyme'"),
        ("keywords:existence", {"keywords": "tea"}, "'keywords' of .* is a list of texts"),
        ("keywords:existence", {"keywords": []}, "a list of texts, not"),
        ("length_constraints:number_words", {"relation": "at most", "num_words": 1}, "at least"),
        ("length_constraints:number_words", {"relation": "at least", "num_words": -1}, "from 0 on"),
        ("keywords:letter_frequency", {"letter": "ab"}, "one character"),
        ("detectable_content:postscript", {"postscript_marker": None}, "a text, not None"),
    ],
)
def test_what_is_wrong_with_an_instruction_is_said(
    name: str, args: dict[str, Any], said: str
) -> None:
    found = problem(Instruction(name, args))
    assert found is not None
    assert re.search(said, found)


def test_a_whole_instruction_has_no_problem() -> None:
    assert problem(Instruction("punctuation:no_comma", {"num_words": None})) is None
