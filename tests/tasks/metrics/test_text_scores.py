import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.text_scores import (
    COUNTS,
    bare,
    bleu,
    exact,
    flexible_number,
    normalised,
    quasi_exact,
    same_number,
    sentence_counts,
    strict_number,
    token_f1,
)


def test_case_punctuation_articles_and_space_dont_count() -> None:
    assert normalised("  The quick-brown fox, (an animal)\n") == "quickbrown fox animal"
    assert normalised("Anthem theatre") == "anthem theatre"
    assert quasi_exact("The Eiffel Tower.", "eiffel tower") == 1.0
    assert exact("The Eiffel Tower.", "eiffel tower") == 0.0
    assert exact(" Paris\n", "Paris") == 1.0


@pytest.mark.parametrize(
    ("said", "meant", "expected"),
    [
        ("blue and red", "red", 2 * 1 / 4),
        ("red red", "red", 2 * 1 / 3),
        ("", "", 1.0),
        ("", "red", 0.0),
        ("the", "a", 1.0),
        ("red, blue", "blue red", 1.0),
        ("in Paris, France", "Paris", 2 * 1 / 4),
    ],
)
def test_token_f1_is_that_worked_out_by_hand(said: str, meant: str, expected: float) -> None:
    assert token_f1(said, meant) == pytest.approx(expected)


def test_words_are_compared_as_squad_compares_them() -> None:
    squad = pytest.importorskip("lm_eval.tasks.qasper.metrics")
    texts = ["The cat", "a  cat sat!", "cat", "An x-ray; the theory", "sat CAT sat", "étude"]
    for said in texts:
        assert normalised(said) == squad.normalize_answer(said)
        for meant in texts:
            assert token_f1(said, meant) == pytest.approx(squad.f1_abstractive([said], [meant]))


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("3 + 4 = 7\n#### 7", "7", "7"),
        ("#### 1,234\n\nQuestion: 5", "1,234", "5"),
        ("The answer is $18.", None, "$18."),
        ("#### -3", "-3", "-3"),
        ("####7", None, "7"),
        ("#### $7", None, "$7"),
        ("none", None, None),
        ("", None, None),
        ("4 and 5...", None, "5..."),
        ("so 5. Then...", None, "..."),
        ("#### 12 #### 13", "12", "13"),
        ("6 - 2", None, "2"),
    ],
)
def test_a_number_is_read_strictly_and_flexibly(
    answer: str, strict: str | None, flexible: str | None
) -> None:
    assert strict_number(answer) == strict
    assert flexible_number(answer) == flexible


def test_numbers_are_compared_letter_by_letter_without_signs() -> None:
    gold = "She has 1,000 + 800.\n#### 1,800"
    assert bare(gold) == "1800"
    for said in ("$1,800.", "1800"):
        assert same_number(said, gold) == 1.0
    for wrong in ("1800.0", "180", None):
        assert same_number(wrong, gold) == 0.0


@pytest.mark.shared_data
def test_every_gold_answer_of_the_test_set_reads_as_itself(shared_data: Path) -> None:
    with gzip.open(shared_data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as lines:
        answers = [json.loads(line)["answer"] for line in lines]
    assert len(answers) == 1319
    for answer in answers:
        assert same_number(strict_number(answer), answer) == 1.0
        assert same_number(flexible_number(answer), answer) == 1.0


@pytest.mark.slow
@pytest.mark.shared_data
def test_verdicts_are_those_of_lm_evaluation_harness(shared_data: Path) -> None:
    extraction = pytest.importorskip("lm_eval.filters.extraction")
    metrics = pytest.importorskip("lm_eval.api.metrics")
    yaml = pytest.importorskip("yaml")
    import lm_eval

    task = yaml.safe_load(
        (Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml").read_text()
    )
    ignored = task["metric_list"][0]["regexes_to_ignore"]
    readers = {"strict-match": strict_number, "flexible-extract": flexible_number}
    with gzip.open(shared_data / "gsm8k" / "test.jsonl.gz", "rt", encoding="utf-8") as lines:
        golds = [json.loads(line)["answer"] for line in lines][:150]
    said = [text for gold in golds for text in _answers(gold)]
    for rule in task["filter_list"]:
        made = {k: v for k, v in rule["filter"][0].items() if k != "function"}
        theirs = extraction.RegexFilter(**made).apply([[t] for t in said], [{}] * len(said))
        for text, (read,), gold in zip(said, theirs, _repeated(golds), strict=True):
            verdict = metrics.exact_match_hf_evaluate(
                [read], [gold], regexes_to_ignore=ignored, ignore_case=True
            )["exact_match"]
            assert same_number(readers[rule["name"]](text), gold) == verdict, text


def _answers(gold: str) -> list[str]:
    number = gold.split("#### ")[1]
    rng = random.Random(gold)
    noise = "".join(rng.choice("#$0123456789.,- \n") for _ in range(30))
    return [
        gold,
        f"The answer is ${number}.",
        f"{number}... done",
        f"#### {number}.\n\n#### 3",
        f"-{number}, x",
        "",
        f"#### {number}.00",
        noise,
    ]


def _repeated(golds: list[str]) -> list[str]:
    return [gold for gold in golds for _ in range(8)]


sacrebleu = pytest.importorskip("sacrebleu")

words = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "."]), max_size=9)
texts = st.lists(st.tuples(words.map(" ".join), words.map(" ".join)), min_size=2, max_size=6)


def theirs(pairs: list[tuple[str, str]]) -> float:
    found = sacrebleu.corpus_bleu([p[0] for p in pairs], [[p[1] for p in pairs]])
    return float(found.score) / 100


@given(texts)
def test_bleu_is_that_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    counts = [sentence_counts(said, [meant]) for said, meant in pairs]
    assert bleu(counts).value() == pytest.approx(theirs(pairs), abs=1e-9)
    expected = [theirs(pairs[:i] + pairs[i + 1 :]) for i in range(len(pairs))]
    assert bleu(counts).without_each() == pytest.approx(expected, abs=1e-9)


def test_bleu_is_that_worked_out_by_hand() -> None:
    counts = sentence_counts("the cat sat on the mat", ["the cat sat on a mat"])
    assert [counts[n] for n in COUNTS] == [5, 3, 2, 1, 6, 5, 4, 3, 6, 6]
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu([counts]).value() == pytest.approx(expected)


def test_items_are_left_out_by_group() -> None:
    pairs = [("the cat sat on it", "the cat sat on it"), ("a b c d", "x"), ("a b c d e", "a b c d")]
    whole = bleu([sentence_counts(said, [meant]) for said, meant in pairs])
    units = np.array([0, 1, 1])
    assert whole.without_each(units)[0] == pytest.approx(theirs(pairs[1:]), abs=1e-9)
