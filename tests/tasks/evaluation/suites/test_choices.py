"""Multiple choice put to models: to a scripted one, and to a tiny one beside the harness."""

import gzip
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from hypothesis import assume, given
from hypothesis import strategies as st

from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import Located
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.choices import (
    arc_question,
    cleaned,
    hellaswag_question,
    letters,
    open_choices,
    own_question,
    texts,
)
from tasks.metrics.estimates import estimate_all

ARC = [
    {
        "question": f"Which is {word}?",
        "answerKey": "BA1"[i % 3],
        "choices": {
            "text": ["red thing", "a sky that is blue", "mud"][: 2 + i % 2],
            "label": list("AB1"[: 2 + i % 2]) if i % 3 < 2 else list("1AB"[: 2 + i % 2]),
        },
    }
    for i, word in enumerate(["blue", "red", "warm", "cold", "big", "small"])
]
SWAG = [
    {
        "activity_label": "Roof [header]",
        "ctx_a": "A man [step] sits.",
        "ctx_b": f"he {i}",
        "endings": ["jumps.", "sings [title] Loud", "is on a roof.", "x"],
        "label": str(i % 4),
    }
    for i in range(5)
]


def lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_texts_are_chosen_in_all_and_by_character(tmp_path: Path) -> None:
    rows = [
        {
            "question": f"q{i}",
            "choices": ["yes", "certainly not"],
            "answer": right,
            "topic": "ab"[i % 2],
        }
        for i, right in enumerate([0, 0, 1, 1])
    ]
    suite = MultipleChoiceSuite(
        kind="multiple_choice",
        name="own",
        path=lines(tmp_path / "q.jsonl", rows),
        letters=True,
        category="topic",
        chance=0.5,
    )
    runner = open_choices(suite, "test", 1)

    def score(context: str, option: str) -> float:
        # "yes" is likelier in all (-1 against -2), "certainly not" by character.
        return {" yes": -1.0, " certainly not": -2.0, " A": -0.1, " B": -3.0}[option]

    found_rows = runner.run(Scripted(score=score))
    write_items(tmp_path / "items.parquet", "own", found_rows, runner.labels)
    found = estimate_all(tmp_path / "items.parquet", suite.metric_table())
    assert found["acc"].value == found["acc_norm"].value == found["accuracy"].value == 0.5
    by_text = [r for r in found_rows if r.form == "cloze"]
    assert [r.prediction for r in by_text] == ["certainly not"] * 4
    assert [r.scores for r in by_text] == [
        {"acc": 1.0, "acc_norm": 0.0},
        {"acc": 1.0, "acc_norm": 0.0},
        {"acc": 0.0, "acc_norm": 1.0},
        {"acc": 0.0, "acc_norm": 1.0},
    ]
    assert [r.stratum for r in by_text] == ["a", "b", "a", "b"]
    assert suite.metric_table()["acc"].chance == 0.5
    # The letters' chances are e^-0.1 and e^-3, so 0.948 against 1/2 right.
    assert found["ece"].value == pytest.approx(0.948 - 0.5, abs=1e-3)
    assert {r.form for r in found_rows} == {"letters", "cloze"}


def test_items_are_chosen_by_seed_and_splits_have_files(tmp_path: Path) -> None:
    rows = [{"question": f"q{i}", "choices": ["a", "b"], "answer": 0} for i in range(9)]
    path = lines(tmp_path / "q.jsonl", rows)
    suite = MultipleChoiceSuite(kind="multiple_choice", name="own", path=path, limit=3)
    assert len(open_choices(suite, "test", 1).questions.ids) == 3
    assert len({open_choices(suite, "test", seed).content for seed in range(6)}) > 1
    with pytest.raises(EvaluationError, match="no file of dev items"):
        open_choices(suite, "dev", 1)
    empty = suite.model_copy(update={"path": lines(tmp_path / "none.jsonl", [])})
    with pytest.raises(EvaluationError, match="no questions"):
        open_choices(empty, "test", 1)


def test_too_many_answers_for_letters_are_refused(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": [str(i) for i in range(27)], "answer": 0}]
    suite = MultipleChoiceSuite(
        kind="multiple_choice", name="own", path=lines(tmp_path / "q.jsonl", rows), letters=True
    )
    with pytest.raises(EvaluationError, match="more than 26 answers"):
        open_choices(suite, "test", 1)


def right_answer(record: dict[str, Any], **more: Any) -> str:
    suite = MultipleChoiceSuite(kind="multiple_choice", name="own", path="x", **more)
    question = own_question(suite, Located(record, "x:1"))
    assert all(question.choices)
    return question.choices[question.answer]


ANIMALS = {"question": "Which barks?", "A": "cat", "B": "", "C": "dog", "D": "cow"}


@pytest.mark.parametrize("empty", ["", None, "  "])
@pytest.mark.parametrize("answer", ["C", "c", 2, 2.0, "2", "dog"])
def test_an_option_left_empty_keeps_its_place(empty: str | None, answer: object) -> None:
    assert right_answer(ANIMALS | {"B": empty, "answer": answer}) == "dog"
    listed = {"question": "q", "choices": ["cat", empty, "dog", "cow"], "answer": answer}
    assert right_answer(listed) == "dog"


def test_the_empty_option_is_not_the_right_one() -> None:
    with pytest.raises(EvaluationError, match="an answer without text"):
        right_answer(ANIMALS | {"answer": "B"})


@given(
    st.lists(st.sampled_from(["", "cat", "dog", "cow", "carp"]), min_size=2, max_size=8),
    st.data(),
)
def test_a_letter_means_its_column_however_many_are_empty(
    options: list[str], data: st.DataObject
) -> None:
    filled = [i for i, text in enumerate(options) if text]
    assume(len(filled) >= 2)
    right = data.draw(st.sampled_from(filled))
    columns = dict(zip("ABCDEFGH", options, strict=False))
    record = {"question": "q", **columns, "answer": "ABCDEFGH"[right]}
    assert right_answer(record) == options[right]


@pytest.mark.parametrize(
    ("choices", "answer"),
    [([3, 1, 0, 2], 0), (["1", "2", "3", "4"], 2), (["1", "2"], "1"), (["B", "A"], "A")],
)
def test_an_answer_that_means_two_options_is_refused_with_both_readings(
    choices: list[object], answer: object
) -> None:
    record = {"question": "q", "choices": choices, "answer": answer}
    with pytest.raises(EvaluationError, match=r"'.' by text or '.' by (place|letter)"):
        right_answer(record)
    assert right_answer(record, answer_is="text") == str(answer)


def test_a_number_that_is_an_option_and_no_place_means_the_option() -> None:
    record = {"question": "How much is 5 * 4?", "choices": [10, 20, 30, 40]}
    assert right_answer(record | {"answer": 20}) == "20"
    # A column of integers with a gap holds floats.
    assert right_answer(record | {"answer": 20.0}) == "20"
    assert right_answer(record | {"answer": 1}) == "20"


def test_a_column_beyond_a_gap_is_no_option() -> None:
    record = {"question": "q", "I": "an id", "A": "cat", "B": "dog", "answer": "B"}
    assert right_answer(record) == "dog"
    with pytest.raises(EvaluationError, match="D may be an answer or something else"):
        right_answer(record | {"D": "cow"})


def test_an_option_is_found_whichever_way_its_accents_are_encoded() -> None:
    nfd = unicodedata.normalize("NFD", "café")
    assert right_answer({"question": "q", "choices": ["thé", "café"], "answer": nfd}) == "café"


@pytest.mark.slow
@pytest.mark.parametrize("task", ["arc_easy", "hellaswag"])
def test_figures_equal_those_of_lm_evaluation_harness(
    tiny_model: LocalModel, tmp_path: Path, task: str
) -> None:
    pytest.importorskip("torch")
    from tasks.models.factory import open_model

    path = lines(tmp_path / f"{task}.jsonl", ARC if task == "arc_easy" else SWAG)
    suite = (
        ArcSuite(kind="arc", name="arc", path=path)
        if task == "arc_easy"
        else HellaswagSuite(kind="hellaswag", name="swag", path=path)
    )
    runner = open_choices(suite, "test", 17)
    rows = runner.run(open_model(tiny_model, "float32"))
    samples = _harness(tiny_model.path, path, tmp_path, task)
    theirs = {s["arguments"][0][0]: s for s in samples}
    assert len(theirs) == len(rows) == len(samples)
    for question, row in zip(runner.questions.asked, rows, strict=True):
        sample = theirs[question.context]
        assert row.choice_logprobs == pytest.approx(
            [float(r[0][0]) for r in sample["resps"]], abs=1e-4
        )
        assert row.scores == {"acc": sample["acc"], "acc_norm": sample["acc_norm"]}


def _harness(model: Path, file: str, folder: Path, task: str) -> list[dict[str, Any]]:
    """The harness's samples of a task of its own, on our file."""
    lm_eval = pytest.importorskip("lm_eval")
    import yaml
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    shipped = Path(lm_eval.__file__).parent / "tasks" / task.partition("_")[0]
    text = (shipped / f"{task}.yaml").read_text().replace("!function utils.process_docs", "null")
    settings = yaml.safe_load(text) | {
        "task": "local",
        "tag": None,
        "dataset_path": "json",
        "dataset_name": None,
        "test_split": "test",
        "validation_split": None,
        "training_split": None,
        "dataset_kwargs": {"data_files": {"test": file}, "cache_dir": str(folder / "cache")},
    }
    if task == "hellaswag":
        import importlib

        settings["process_docs"] = importlib.import_module(
            "lm_eval.tasks.hellaswag.utils"
        ).process_docs
    settings = {k: v for k, v in settings.items() if v is not None}
    found = lm_eval.simple_evaluate(
        model=HFLM(pretrained=str(model), device="cpu", dtype="float32", batch_size=4),
        tasks=[settings],
        num_fewshot=0,
        log_samples=True,
        bootstrap_iters=0,
        task_manager=TaskManager(include_defaults=False),
    )
    samples: list[dict[str, Any]] = found["samples"]["local"]
    return samples


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
