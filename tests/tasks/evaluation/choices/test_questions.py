import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from configs.suites.choices import MultipleChoiceSuite
from tasks.errors import EvaluationError
from tasks.evaluation.choices.exam import letters, texts
from tasks.evaluation.choices.questions import (
    arc_question,
    cleaned,
    hellaswag_question,
    own_question,
)
from tasks.evaluation.datasets import Located


def own(record: dict[str, Any], **fields: Any) -> Any:
    base = {"kind": "multiple_choice", "name": "m", "path": "x.jsonl"}
    suite = MultipleChoiceSuite.model_validate(base | fields)
    return own_question(suite, Located(record, "x.jsonl:1"))


ASKED = {"question": "Why?", "choices": ["sun", "rain", "wind"]}


@pytest.mark.parametrize(
    ("answer", "place"),
    [(0, 0), (2.0, 2), ("B", 1), ("c", 2), ("1", 1), ("rain", 1), (" wind ", 2)],
)
def test_the_right_answer_is_said_by_place_letter_or_text(answer: object, place: int) -> None:
    assert own(ASKED | {"answer": answer}).answer == place


@pytest.mark.parametrize(
    ("record", "what"),
    [
        ({"answer": "D"}, "'D' is none of its answers"),
        ({"answer": 3}, "is none of its answers"),
        ({"answer": -1}, "is none"),
        ({"answer": 1.5}, "is none"),
        ({"answer": True}, "is none"),
        ({"choices": ["2", "1", "0"], "answer": "2"}, "could be several"),
        ({"choices": ["B", "A", "C"], "answer": "A"}, "could be several"),
        ({"choices": ["sun"], "answer": 0}, "fewer than two"),
        ({"answer": None}, "no 'answer'"),
        ({"choices": "sun, rain", "answer": 0}, "holds no list"),
        ({"question": None}, "no 'ques"),
    ],
)
def test_what_is_no_question_is_named_with_its_place(record: dict[str, Any], what: str) -> None:
    with pytest.raises(EvaluationError, match=what) as error:
        own(ASKED | {"answer": 0} | record)
    assert "x.jsonl:1" in str(error.value.paragraph())


def test_answers_come_as_a_list_as_json_with_labels_or_in_columns() -> None:
    expected = ("sun", "rain", "wind")
    for record in (
        {"choices": json.dumps(["sun", "rain", "wind"]), "answer": "A"},
        {"choices": {"text": ["sun", "rain", "wind"], "label": ["1", "2", "3"]}, "answer": "1"},
        {"A": "sun", "B": "rain", "C": "wind", "D": "", "answer": 0},
    ):
        found = own({"question": "Why?"} | record)
        assert (found.choices, found.answer) == (expected, 0)


def test_a_prompt_of_ones_own_and_columns_are_used() -> None:
    record = {"q": "Why?", "c": ["sun", "rain"], "a": 1, "topic": "sky", "page": 7}
    found = own(
        record,
        question="q",
        choices="c",
        answer="a",
        category="topic",
        group="page",
        prompt="F: {question}\nA:",
    )
    assert (found.context, found.category, found.group) == ("F: Why?\nA:", "sky", "7")
    assert texts(found).options == (" sun", " rain")
    assert letters(found) == ("Why?\nA. sun\nB. rain\nAnswer:", (" A", " B"))
    with pytest.raises(EvaluationError, match="no 'theme'"):
        own(record, question="q", choices="c", answer="a", category="theme")


def test_hellaswags_texts_are_cleaned() -> None:
    assert cleaned(" How to fly [header] Begin [title] Run.  Jump.   Land. ") == (
        "How to fly Begin. Run. Jump.  Land."
    )


def test_hellaswag_without_its_answer_is_refused() -> None:
    record = {
        "ctx_a": "A man sits.",
        "ctx_b": "he",
        "activity_label": "Roof",
        "endings": ["a", "b", "c", "d"],
        "label": "",
    }
    with pytest.raises(EvaluationError, match="no ending is marked"):
        hellaswag_question(Located(record, "test:1"))
    with pytest.raises(EvaluationError, match="lacks 'ctx_b'"):
        hellaswag_question(Located({"ctx_a": ""}, "test:1"))


def harness(name: str) -> dict[str, Any]:
    """The harness's own settings of a task."""
    lm_eval = pytest.importorskip("lm_eval")
    import yaml

    folder = Path(lm_eval.__file__).parent / "tasks" / name.partition("_")[0]
    text = (folder / f"{name}.yaml").read_text().replace("!function", "")
    settings: dict[str, Any] = yaml.safe_load(text)
    return settings


@pytest.mark.shared_data
def test_every_question_of_arc_is_put_as_the_harness_puts_it(shared_data: Path) -> None:
    import pyarrow.parquet as pq
    from lm_eval.utils import apply_template

    task = harness("arc_easy")
    for level in ("Easy", "Challenge"):
        rows = pq.read_table(shared_data / "arc" / f"ARC-{level}.validation.parquet").to_pylist()
        for row in rows:
            found = arc_question(Located(row, "arc"))
            assert found.context == apply_template(task["doc_to_text"], row)
            assert found.answer == int(apply_template(task["doc_to_target"], row))
            assert texts(found).options == tuple(f" {c}" for c in row["choices"]["text"])
        with gzip.open(shared_data / "arc" / f"ARC-{level}.test.jsonl.gz", "rt") as lines:
            asked = [arc_question(Located(json.loads(line), "arc")) for line in lines]
        assert len(asked) == {"Easy": 2376, "Challenge": 1172}[level]


@pytest.mark.shared_data
def test_every_question_of_hellaswag_is_put_as_the_harness_puts_it(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    theirs = pytest.importorskip("lm_eval.tasks.hellaswag.utils")
    rows = pq.read_table(shared_data / "hellaswag" / "validation.parquet").to_pylist()

    class Documents:
        def map(self, change: Any) -> list[Any]:
            return [change(row) for row in rows]

    documents = theirs.process_docs(Documents())
    assert len(documents) == 10_042
    for row, document in zip(rows, documents, strict=True):
        found = hellaswag_question(Located(row, "hellaswag"))
        assert found.context == document["query"]
        assert list(found.choices) == document["choices"]
        assert found.answer == document["gold"]
