import gzip
import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from configs.suites.behaviour import IfevalSuite
from tasks.errors import EvaluationError
from tasks.evaluation.ifeval.runner import (
    RULES,
    IfevalRunner,
    Instruction,
    judge,
    open_ifeval,
    problem,
    readings,
)
from tasks.evaluation.items import write_items
from tasks.metrics.estimates import estimate_all

COMMAS = {
    "prompt": "No commas please.",
    "instruction_id_list": ["punctuation:no_comma"],
    "kwargs": [{}],
}
BOTH = {
    "prompt": "Two parts: quoted, no commas.",
    "kwargs": [{"num_words": None}, None],
    "instruction_id_list": ["startend:quotation", "punctuation:no_comma"],
}


@pytest.fixture
def runner(tmp_path: Path) -> Callable[..., IfevalRunner]:
    def make(*records: dict[str, Any], **fields: Any) -> IfevalRunner:
        file = tmp_path / "prompts.jsonl"
        file.write_text("\n\n".join(map(json.dumps, records)))
        section = {"kind": "ifeval", "name": "if", "path": str(file)} | fields
        return open_ifeval(IfevalSuite.model_validate(section), "test", 17)

    return make


def test_prompts_and_instructions_are_counted_apart(
    runner: Callable[..., IfevalRunner], tmp_path: Path
) -> None:
    said = {COMMAS["prompt"]: "a, b", BOTH["prompt"]: '*"a b"*'}
    made = runner(COMMAS, BOTH)
    rows = made.run(Scripted(lambda p: said[p.messages[0]["content"]]))
    assert sorted(r.form for r in rows) == ["instruction"] * 3 + ["prompt"] * 2
    write_items(tmp_path / "items.parquet", "if", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert {name: (e.value, e.n) for name, e in found.items()} == {
        "prompt_strict": (0.0, 2),
        "prompt_loose": (0.5, 2),
        "instruction_strict": (pytest.approx(1 / 3), 3),
        "instruction_loose": (pytest.approx(2 / 3), 3),
    }
    (prompt,) = [r for r in rows if r.form == "prompt" and r.raw_output == '*"a b"*']
    assert [r.cluster for r in rows if r.form == "instruction"].count(prompt.item_id) == 2


def test_a_prompt_that_was_not_answered_has_no_scores(runner: Callable[..., IfevalRunner]) -> None:
    rows = runner(COMMAS, BOTH).run(Scripted(lambda p: None))
    assert all(r.scores is None and r.error for r in rows)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"kwargs": []}, "kwargs", "no list of 1 objects"),
        ({"instruction_id_list": []}, "instruction_id_list", "no list of rules"),
        ({"instruction_id_list": ["keywords:rhyme"]}, "instruction 1", "no rule 'keywords:rhyme'"),
        ({"prompt": " "}, "prompt", "holds no text"),
    ],
)
def test_a_malformed_prompt_is_named_by_its_line(
    runner: Callable[..., IfevalRunner], change: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(EvaluationError, match=said) as error:
        runner(BOTH, COMMAS | change)
    # An empty line stands between the two.
    assert error.value.where.endswith("prompts.jsonl:3")
    assert f"'{field}'" in error.value.message


def test_the_split_to_choose_on_needs_a_file_of_its_own(tmp_path: Path) -> None:
    suite = IfevalSuite.model_validate({"kind": "ifeval", "name": "if"})
    with pytest.raises(EvaluationError, match="set dev_path"):
        open_ifeval(suite, "dev", 17)


@pytest.mark.shared_data
def test_the_published_prompts_are_all_judged(shared_data: Path) -> None:
    pytest.importorskip("langdetect", reason="the extra 'ifeval' isn't installed")
    path = shared_data / "ifeval" / "input_data.jsonl.gz"
    suite = IfevalSuite.model_validate({"kind": "ifeval", "name": "if", "path": str(path)})
    runner = open_ifeval(suite, "test", 17)
    assert len(runner.cases) == 541
    assert sum(len(case.instructions) for _, case in runner.cases) == 834
    with gzip.open(path, "rt") as stream:
        assert set(runner.overlap()) == {json.loads(line)["prompt"] for line in stream}


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
