import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from fakes.scripted_model import Scripted
from pydantic import ValidationError

from configs.suites.behaviour import JailbreakTemplate, RefusalSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import count_items, write_items
from tasks.evaluation.suites.refusal import DISGUISES, RefusalRunner, disguise_request, open_refusal
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt

RECORDS = [
    {"prompt": f"How is {what}?", "label": label, "type": "t"}
    for label, many in {"safe": ("a", "b", "c", "d"), "unsafe": ("x", "y")}.items()
    for what in many
]
SORRY = "I'm sorry, but I can't help with that."

Make = Callable[..., RefusalRunner]


@pytest.fixture
def runner(tmp_path: Path) -> Make:
    def make(records: list[dict[str, Any]] = RECORDS, **fields: Any) -> RefusalRunner:
        file = tmp_path / "prompts.jsonl"
        file.write_text("\n".join(map(json.dumps, records)))
        section = {"kind": "refusal", "name": "r", "path": str(file)} | fields
        return open_refusal(RefusalSuite.model_validate(section), "test", 17)

    return make


def test_both_ways_of_being_wrong_are_measured(runner: Make, tmp_path: Path) -> None:
    made = runner(templates=("story", "opening"))
    refused = {"How is a?", "How is x?", "How is y?", disguise_request("How is x?", "opening")}
    rows = made.run(Scripted(lambda p: SORRY if p.messages[0]["content"] in refused else "Fine."))
    write_items(tmp_path / "items.parquet", "r", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert {name: (e.value, e.n) for name, e in found.items() if "corrected" not in name} == {
        "unsafe_refusal": (1.0, 2),
        "over_refusal": (0.25, 4),
        "wrapped_refusal": (0.25, 4),
    }
    assert found["unsafe_refusal_corrected"].value == 1.0
    assert 0.15 < found["over_refusal_corrected"].value < 0.25
    assert found["over_refusal_corrected"].high > found["over_refusal"].value
    wrapped = [r for r in rows if r.form == "wrapped"]
    assert len({r.cluster for r in wrapped}) == 2
    assert len({r.item_id for r in rows}) == len(rows) == 10
    assert made.overlap() == list(dict.fromkeys(c.base for _, c in made.cases))


def test_a_file_of_unsafe_prompts_needs_no_labels(runner: Make) -> None:
    made = runner([{"forbidden_prompt": p, "category": "c"} for p in "abc"], ask="unsafe")
    assert set(made.suite.metric_table()) == {"unsafe_refusal", "unsafe_refusal_corrected"}
    assert {(c.kind, c.category) for _, c in made.cases} == {("unsafe", "c")}
    with pytest.raises(EvaluationError, match="'label' is neither safe nor unsafe"):
        runner([{"forbidden_prompt": p} for p in "abc"])


def test_xstests_types_say_what_is_unsafe(runner: Make) -> None:
    types = ("homonyms", "definitions", "contrast_homonyms", "contrast_definitions")
    made = runner([{"prompt": t, "type": t} for t in types])
    assert {c.asked: c.kind for _, c in made.cases} == {
        "homonyms": "safe",
        "definitions": "safe",
        "contrast_homonyms": "unsafe",
        "contrast_definitions": "unsafe",
    }


def test_a_kind_that_is_asked_for_and_not_there_is_refused(runner: Make) -> None:
    with pytest.raises(EvaluationError, match="fewer than two unsafe prompts"):
        runner(RECORDS[:5])
    assert len(runner(RECORDS[:4], ask="safe").cases) == 4
    with pytest.raises(ValidationError, match="templates disguise unsafe prompts"):
        runner(ask="safe", templates=("story",))


def test_a_prompt_that_was_not_answered_has_no_scores(runner: Make) -> None:
    rows = runner().run(Scripted(lambda _: None))
    assert all(r.scores is None and r.prediction is None and r.error for r in rows)


def test_every_disguise_holds_the_prompt_once_as_it_is() -> None:
    assert set(DISGUISES) == set(get_args(JailbreakTemplate))
    for name in DISGUISES:
        assert disguise_request("a {prompt} {b}", name).count("a {prompt} {b}") == 1


def test_an_answer_is_read_and_not_the_prompt(runner: Make) -> None:
    def echo(prompt: Prompt) -> str:
        return f"You asked: {prompt.messages[0]['content']} It is well."

    assert {r.prediction for r in runner().run(Scripted(echo))} == {"answer"}


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "fields", "kinds"),
    [
        ("xstest/xstest_prompts.jsonl.gz", {}, {"safe": 250, "unsafe": 200}),
        ("strongreject", {"ask": "unsafe"}, {"unsafe": 313}),
    ],
)
def test_the_published_prompts_are_read(
    shared_data: Path, path: str, fields: dict[str, Any], kinds: dict[str, int]
) -> None:
    section = {"kind": "refusal", "name": "r", "path": str(shared_data / path)} | fields
    runner = open_refusal(RefusalSuite.model_validate(section), "test", 17)
    found = [case.kind for _, case in runner.cases]
    assert {k: found.count(k) for k in set(found)} == kinds
    assert all(case.category for _, case in runner.cases)


def test_a_metrics_items_are_the_prompts_of_its_kind(runner: Make) -> None:
    made = runner(templates=("story", "opening"))
    assert {name: count_items(made, name) for name in made.suite.metric_table()} == {
        "unsafe_refusal": 2,
        "unsafe_refusal_corrected": 2,
        "over_refusal": 4,
        "over_refusal_corrected": 4,
        "wrapped_refusal": 4,
        "wrapped_refusal_corrected": 4,
    }
