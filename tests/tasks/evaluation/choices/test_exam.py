"""Multiple choice put to models: to a scripted one, and to a tiny one beside the harness."""

import json
from pathlib import Path
from typing import Any

import pytest

from configs.suites.choices import ArcSuite, HellaswagSuite, MultipleChoiceSuite
from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.choices.exam import choices_exam
from tasks.evaluation.items import write_items
from tasks.inference.scripted import Scripted
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
    exam = choices_exam(suite, "test", 1)

    def score(context: str, option: str) -> float:
        # "yes" is likelier in all (-1 against -2), "certainly not" by character.
        return {" yes": -1.0, " certainly not": -2.0, " A": -0.1, " B": -3.0}[option]

    found_rows = exam.sit(Scripted(score=score))
    write_items(tmp_path / "items.parquet", "own", found_rows, exam.labels)
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
    assert len(choices_exam(suite, "test", 1).questions.ids) == 3
    assert len({choices_exam(suite, "test", seed).content for seed in range(6)}) > 1
    with pytest.raises(EvaluationError, match="no file of dev items"):
        choices_exam(suite, "dev", 1)
    empty = suite.model_copy(update={"path": lines(tmp_path / "none.jsonl", [])})
    with pytest.raises(EvaluationError, match="no questions"):
        choices_exam(empty, "test", 1)


def test_too_many_answers_for_letters_are_refused(tmp_path: Path) -> None:
    rows = [{"question": "q", "choices": [str(i) for i in range(27)], "answer": 0}]
    suite = MultipleChoiceSuite(
        kind="multiple_choice", name="own", path=lines(tmp_path / "q.jsonl", rows), letters=True
    )
    with pytest.raises(EvaluationError, match="more than 26 answers"):
        choices_exam(suite, "test", 1)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["arc_easy", "hellaswag"])
def test_figures_equal_those_of_lm_evaluation_harness(
    tiny_model: LocalModel, tmp_path: Path, task: str
) -> None:
    pytest.importorskip("torch")
    from tasks.inference.opening import open_model

    path = lines(tmp_path / f"{task}.jsonl", ARC if task == "arc_easy" else SWAG)
    suite = (
        ArcSuite(kind="arc", name="arc", path=path)
        if task == "arc_easy"
        else HellaswagSuite(kind="hellaswag", name="swag", path=path)
    )
    exam = choices_exam(suite, "test", 17)
    rows = exam.sit(open_model(tiny_model, "float32"))
    samples = _harness(tiny_model.path, path, tmp_path, task)
    theirs = {s["arguments"][0][0]: s for s in samples}
    assert len(theirs) == len(rows) == len(samples)
    for question, row in zip(exam.questions.asked, rows, strict=True):
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
