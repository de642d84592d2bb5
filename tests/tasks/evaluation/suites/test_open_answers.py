import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from configs.suites.generation import OpenAnswersSuite
from tasks.artifacts import CleanSource
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.open_answers import OpenAnswersRunner, open_open_answers
from tasks.metrics.estimates import estimate_all
from tasks.scores import Estimate

pytest.importorskip("rouge_score")
pytest.importorskip("sacrebleu")

from tasks.evaluation.suites.open_answers import Words, rouge_l  # noqa: E402

Make = Callable[..., CleanSource]
Chat = Callable[..., dict[str, Any]]


def suite(**fields: Any) -> OpenAnswersSuite:
    base = {"kind": "open_answers", "name": "qa"}
    origin = {} if "path" in fields else {"source": "voc"}
    return OpenAnswersSuite.model_validate(base | origin | fields)


def judged(
    runner: OpenAnswersRunner, section: OpenAnswersSuite, folder: Path, answers: dict[str, str]
) -> dict[str, Estimate]:
    rows = runner.run(Scripted(lambda prompt: answers[prompt.messages[-1]["content"]]))
    write_items(folder / "items.parquet", "qa", rows, runner.labels)
    return estimate_all(folder / "items.parquet", section.metric_table())


def test_metrics_are_those_worked_out_by_hand(
    clean_source: Make, chat: Chat, tmp_path: Path
) -> None:
    import sacrebleu

    golds = ["Paris", "the red balloon flew over the old town", "Blue."]
    said = ["paris!", "a red balloon flew over the town", "Blue."]
    section = suite()
    source = clean_source(test=[chat(f"q{i}", gold) for i, gold in enumerate(golds)])
    runner = open_open_answers(section, source, "test", 1)
    found = judged(runner, section, tmp_path, {f"q{i}": text for i, text in enumerate(said)})
    assert found["exact"].value == pytest.approx(1 / 3)
    assert found["quasi_exact"].value == pytest.approx(2 / 3)
    # Without articles: 5 words shared of 5 and 6.
    assert found["token_f1"].value == pytest.approx((1 + 10 / 11 + 1) / 3)
    # Longest common subsequence: red balloon flew over the town, 6 of 7 and 8.
    assert found["rouge_l"].value == pytest.approx((1 + 12 / 15 + 1) / 3)
    expected = sacrebleu.corpus_bleu(said, [golds]).score / 100
    assert found["bleu"].value == pytest.approx(expected)
    assert 0 <= found["bleu"].low <= found["bleu"].value <= found["bleu"].high <= 1


def test_of_several_references_the_best_counts(tmp_path: Path) -> None:
    lines = [
        {"query": "Capital of France?", "response": ["Lyon", "Paris"], "system": "Be short."},
        {"query": "2 + 2?", "response": 4},
    ]
    file = tmp_path / "gen_qa.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    section = suite(path=str(file), metrics=["exact", "token_f1"])
    runner = open_open_answers(section, None, "test", 1)
    assert [m["role"] for m in runner.cases[0][1].prompt] == ["system", "user"]
    found = judged(runner, section, tmp_path, {"Capital of France?": "Paris", "2 + 2?": "four"})
    assert {name: e.value for name, e in found.items()} == {"exact": 0.5, "token_f1": 0.5}
    with pytest.raises(EvaluationError, match="no file of dev items"):
        open_open_answers(section, None, "dev", 1)


def test_a_record_without_question_or_answer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "qa.jsonl"
    for record in ({"query": "Why?"}, {"query": "Why?", "response": []}, {"response": "x"}):
        file.write_text(json.dumps(record))
        with pytest.raises(EvaluationError, match="no 'query' or no 'response'") as error:
            open_open_answers(suite(path=str(file)), None, "test", 1)
        assert error.value.where == f"{file}:1"


def test_items_come_from_one_place() -> None:
    with pytest.raises(ValidationError, match="exactly one of source and path"):
        suite(path="x", source="voc")
    assert list(suite(metrics=["bleu"]).metric_table()) == ["bleu"]


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_words_of_ascii_text_are_the_librarys(text: str) -> None:
    from rouge_score.tokenizers import DefaultTokenizer

    assert Words().tokenize(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_letters_of_every_script_count() -> None:
    assert rouge_l("Die Lieferung kam spät", "die Lieferung kam spät") == 1.0
    assert rouge_l("поздно", "рано") == 0.0
    assert rouge_l("доставка поздно", "доставка рано") == 0.5
    assert rouge_l("", "x") == 0.0
