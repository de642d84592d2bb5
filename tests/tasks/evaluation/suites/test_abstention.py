import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from pydantic import ValidationError

from configs.suites.behaviour import AbstentionSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import count_items, write_items
from tasks.evaluation.suites.abstention import AbstentionRunner, open_abstention
from tasks.metrics.estimates import estimate_all

RECORDS = [
    {"question": f"{n} {able}?", "answerable": able, "category": "c"}
    for able in (True, False)
    for n in range(4)
]

Make = Callable[..., AbstentionRunner]


@pytest.fixture
def runner(tmp_path: Path) -> Make:
    def make(records: list[dict[str, Any]] = RECORDS, **fields: Any) -> AbstentionRunner:
        file = tmp_path / "questions.jsonl"
        file.write_text("\n".join(map(json.dumps, records)))
        section = {"kind": "abstention", "name": "a", "path": str(file)} | fields
        return open_abstention(AbstentionSuite.model_validate(section), "test", 17)

    return make


def test_abstaining_is_right_where_nobody_can_know(runner: Make, tmp_path: Path) -> None:
    made = runner(confidence=True)
    said = {"0 False?": "Nobody knows.", "1 False?": "I don't know.", "2 True?": "I don't know."}
    # Surer where it can be answered, but for one of four: 13 of 16 pairs in order.
    sure = {
        "0 False?": -9.0,
        "1 False?": -9.0,
        "2 False?": -9.0,
        "3 False?": -2.5,
        "0 True?": -1.0,
        "1 True?": -2.0,
        "2 True?": -3.0,
        "3 True?": -9.0,
    }
    model = Scripted(
        lambda p: said.get(p.messages[0]["content"], "Blue."),
        lambda asked, option: sure[asked] * len(option.split()),
    )
    rows = made.run(model)
    write_items(tmp_path / "items.parquet", "a", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert (found["abstention"].value, found["false_abstention"].value) == (0.5, 0.25)
    pairs = [
        (a > b) + 0.5 * (a == b)
        for q, a in sure.items()
        if "True" in q
        for p, b in sure.items()
        if "False" in p
    ]
    assert found["auroc"].value == pytest.approx(sum(pairs) / 16)
    assert {r.stratum for r in rows} == {"answerable: c", "unanswerable: c"}
    assert made.needs == "log_probs"
    assert runner().needs == "answers"


def test_an_answer_without_a_word_is_the_least_sure(runner: Make) -> None:
    model = Scripted(
        lambda p: "" if "False" in p.messages[0]["content"] else "Blue.",
        lambda asked, option: -50.0,
    )
    rows = runner(confidence=True).run(model)
    assert sum(r.scores["auroc"] for r in rows if r.scores) / len(rows) == pytest.approx(1.0)


def test_a_contrast_set_is_what_can_be_answered(runner: Make, tmp_path: Path) -> None:
    contrast = tmp_path / "contrast.jsonl"
    contrast.write_text("\n".join(json.dumps({"prompt": p, "category": "d"}) for p in "ab"))
    plain = [{"prompt": p, "category": k} for p, k in (("x", "d"), ("y", "d"), ("z", "e"))]
    made = runner(plain, contrast_path=str(contrast), categories=("d",))
    assert {c.question: c.answerable for _, c in made.cases} == {
        "x": False,
        "y": False,
        "a": True,
        "b": True,
    }


def test_a_record_that_does_not_say_its_kind_is_named(runner: Make) -> None:
    with pytest.raises(EvaluationError, match="'answerable' doesn't say true or false") as error:
        runner([*RECORDS, {"question": "what?"}])
    assert error.value.where.endswith(":9")
    with pytest.raises(EvaluationError, match="fewer than two unanswerable"):
        runner(RECORDS[:5])


@pytest.mark.shared_data
def test_the_published_questions_are_read(shared_data: Path) -> None:
    def counted(**fields: Any) -> tuple[int, int]:
        suite = AbstentionSuite.model_validate({"kind": "abstention", "name": "a"} | fields)
        kinds = [case.answerable for _, case in open_abstention(suite, "test", 17).cases]
        return kinds.count(False), kinds.count(True)

    assert counted(path=str(shared_data / "selfaware"), category=None) == (1032, 2337)
    folder = shared_data / "coconot"
    assert counted(
        path=str(folder / "coconot_eval.jsonl.gz"),
        contrast_path=str(folder / "coconot_contrast_eval.jsonl.gz"),
    ) == (1001, 379)


def test_on_dev_neither_set_is_the_tests(tmp_path: Path) -> None:
    files = {}
    for name in ("path", "dev_path", "contrast_path", "dev_contrast_path"):
        files[name] = str(tmp_path / f"{name}.jsonl")
        Path(files[name]).write_text("\n".join(json.dumps({"prompt": f"{name} {n}"}) for n in "ab"))

    def asked(split: str, *fields: str) -> set[str]:
        section = {"kind": "abstention", "name": "a"} | {f: files[f] for f in fields}
        runner = open_abstention(AbstentionSuite.model_validate(section), split, 17)
        return {case.question.split()[0] for _, case in runner.cases}

    with pytest.raises(EvaluationError, match="set dev_contrast_path"):
        asked("dev", "path", "dev_path", "contrast_path")
    assert asked("dev", *files) == {"dev_path", "dev_contrast_path"}
    assert asked("test", *files) == {"path", "contrast_path"}
    with pytest.raises(ValidationError, match="goes with contrast_path"):
        asked("dev", "path", "dev_path", "dev_contrast_path")


def test_where_the_contrast_set_lies_is_no_part_of_the_protocol() -> None:
    assert {"contrast_path", "dev_contrast_path"} <= AbstentionSuite.FREE


def test_a_metrics_items_are_the_questions_of_its_kind(runner: Make) -> None:
    made = runner(RECORDS[:6], confidence=True)
    names = ("abstention", "false_abstention", "auroc")
    assert [count_items(made, name) for name in names] == [2, 4, 6]
