import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from configs.suites.generation import Gsm8kSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.gsm8k import WordProblem, chat_prompt, continuation_prompt, open_gsm8k
from tasks.metrics.estimates import estimate_all


def suite(**fields: Any) -> Gsm8kSuite:
    return Gsm8kSuite.model_validate({"kind": "gsm8k", "name": "sums"} | fields)


def lines(path: Path, sums: list[tuple[str, str]]) -> str:
    path.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in sums))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    train = [(f"What is {i} + 1?", f"{i} + 1 = {i + 1}\n#### {i + 1}") for i in range(6)]
    test = [
        ("What is 5 + 5?", "5 + 5 = 10\n#### 10"),
        ("And 2,000 + 1?", "So\n#### 2,001"),
        ("And 1 + 1?", "#### 2"),
    ]
    return {
        "path": lines(tmp_path / "test.jsonl", test),
        "dev_path": str(tmp_path / "train.jsonl"),
        "examples": lines(tmp_path / "train.jsonl", train),
    }


def test_a_prompt_shows_worked_examples_first() -> None:
    shown, asked = (
        WordProblem("What is 1 + 1?", "1 + 1 = 2\n#### 2"),
        WordProblem("And 2 + 2?", "#### 4"),
    )
    (text,) = continuation_prompt(asked, [shown]).messages
    assert text["role"] == "text"
    assert text["content"] == (
        "Question: What is 1 + 1?\nAnswer: 1 + 1 = 2\n#### 2\n\nQuestion: And 2 + 2?\nAnswer:"
    )
    turns = chat_prompt(asked, [shown]).messages
    assert [m["role"] for m in turns] == ["user", "assistant", "user"]
    assert turns[1]["content"] == "1 + 1 = 2\n#### 2"


def test_both_readings_are_scored(files: dict[str, str], tmp_path: Path) -> None:
    runner = open_gsm8k(suite(shots=2, **files), "test", 1)
    assert len(runner.examples) == 2
    said = iter(["It is 10\n#### 10\nQuestion: 7", "that makes $2001.", "no idea"])
    rows = runner.run(Scripted(lambda _: next(said)))
    write_items(tmp_path / "items.parquet", "sums", rows, None)
    found = estimate_all(tmp_path / "items.parquet", suite().metric_table())
    assert found["strict"].value == pytest.approx(1 / 3)
    assert found["flexible"].value == pytest.approx(2 / 3)
    assert [row.prediction for row in rows] == ["10", "2001", None]
    assert [row.gold for row in rows] == ["10", "2001", "2"]
    # The answer ends where the next question would begin.
    assert rows[0].raw_output == "It is 10\n#### 10\n"


def test_questions_to_choose_on_are_none_of_the_examples(files: dict[str, str]) -> None:
    runner = open_gsm8k(suite(shots=2, **files), "dev", 1)
    assert len(runner.cases) == 4
    assert not {one for _, one in runner.cases} & set(runner.examples)
    assert runner.content != open_gsm8k(suite(shots=1, **files), "dev", 1).content


def test_what_is_missing_is_named(files: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="6 examples and 7 shots"):
        open_gsm8k(suite(shots=7, **files), "test", 1)
    with pytest.raises(EvaluationError, match="own questions and no examples"):
        open_gsm8k(suite(path=files["path"]), "test", 1)
    with pytest.raises(EvaluationError, match="no file of dev items"):
        open_gsm8k(suite(shots=0, path=files["path"]), "dev", 1)
    wrong = lines(tmp_path / "wrong.jsonl", [("Why?", "Because.")])
    with pytest.raises(EvaluationError, match="doesn't end in '#### '"):
        open_gsm8k(suite(shots=0, path=wrong), "test", 1)


@pytest.mark.shared_data
def test_the_published_files_are_read_whole(shared_data: Path) -> None:
    folder = shared_data / "gsm8k"
    section = suite(path=str(folder / "test.jsonl.gz"), examples=str(folder / "train.jsonl.gz"))
    runner = open_gsm8k(section, "test", 1)
    assert (len(runner.cases), len(runner.examples)) == (1319, 5)
    assert len(set(runner.ids)) == 1319
    with gzip.open(folder / "train.jsonl.gz", "rt", encoding="utf-8") as train:
        first = json.loads(next(train))
    assert runner.examples[0] == WordProblem(first["question"], first["answer"])
    assert (
        len(
            open_gsm8k(
                suite(limit=20, **{"path": section.path, "examples": section.examples}), "test", 1
            ).ids
        )
        == 20
    )


@pytest.mark.slow
@pytest.mark.shared_data
def test_prompts_are_those_of_lm_evaluation_harness(shared_data: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    import yaml
    from lm_eval.utils import apply_template

    folder = Path(lm_eval.__file__).parent / "tasks" / "gsm8k"
    task = yaml.safe_load((folder / "gsm8k.yaml").read_text())
    path = str(shared_data / "gsm8k" / "test.jsonl.gz")
    for _, one in open_gsm8k(suite(shots=0, path=path), "test", 1).cases[:50]:
        document = one._asdict()
        prompt = apply_template(task["doc_to_text"], document)
        assert continuation_prompt(one, []).messages[0]["content"] == prompt
        shown = f"{prompt} {apply_template(task['doc_to_target'], document)}\n\n{prompt}"
        assert continuation_prompt(one, [one]).messages[0]["content"] == shown
    from tasks.evaluation.suites.gsm8k import STOP

    assert list(STOP) == task["generation_kwargs"]["until"]
