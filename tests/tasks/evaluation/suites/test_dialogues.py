import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from configs.suites.behaviour import DialoguesSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.dialogues import DOUBT, DialoguesRunner, open_dialogues
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt

OWN = {
    "system": "Be brief.",
    "category": "k",
    "turns": [
        {"user": "My name is Ada.", "checks": {"required": ["Ada"]}},
        "Fine?",
        {"user": "Who am I?", "checks": {"required": ["Ada"], "max_words": 2}},
    ],
}
SHORT = {"turns": ["One and one?", "And two?"]}

Make = Callable[..., DialoguesRunner]


@pytest.fixture
def runner(tmp_path: Path) -> Make:
    def make(*records: dict[str, Any], **fields: Any) -> DialoguesRunner:
        file = tmp_path / "own.jsonl"
        file.write_text("\n".join(map(json.dumps, records)))
        section = {"kind": "dialogues", "name": "d", "path": str(file)} | fields
        return open_dialogues(DialoguesSuite.model_validate(section), "test", 17)

    return make


def test_each_turn_hears_the_answers_before_it(runner: Make) -> None:
    seen: list[list[str]] = []

    def say(prompt: Prompt) -> str:
        seen.append([m["content"] for m in prompt.messages])
        return f"answer {len(prompt.messages)}"

    made = runner(SHORT)
    rows = made.run(Scripted(say))
    first = ["One and one?"]
    second = [*first, "answer 1", "And two?"]
    assert seen == [
        first,
        second,
        [*second, "answer 3", "One and one?"],
        [*second, "answer 3", DOUBT],
    ]
    assert [r.form for r in rows] == ["turn", "turn", "dialogue"]
    assert rows[-1].scores == {"repeat_agreement": 0.5, "doubt_agreement": 0.5}


def test_turns_and_dialogues_with_checks_are_counted(runner: Make, tmp_path: Path) -> None:
    made = runner(OWN, {**OWN, "turns": OWN["turns"][:1]}, SHORT, measure=("checks",))
    rows = made.run(Scripted(lambda p: "Hello, Ada, dear" if len(p.messages) == 2 else "Ada"))
    write_items(tmp_path / "items.parquet", "d", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert {k: (e.value, e.n) for k, e in found.items()} == {
        "turn_kept": (1.0, 3),
        "dialogue_kept": (1.0, 2),
    }
    rows = made.run(Scripted(lambda p: "Hello, Ada, dear"))
    kept = sorted(r.scores["turn_kept"] for r in rows if r.form == "turn" and r.scores)
    assert kept == [0.0, 1.0, 1.0]
    whole = [r.scores["dialogue_kept"] for r in rows if r.form == "dialogue" and r.scores]
    assert sorted(whole) == [0.0, 1.0]


def test_a_dialogue_ends_where_a_turn_was_not_answered(runner: Make) -> None:
    rows = runner(OWN, SHORT).run(
        Scripted(lambda p: None if p.messages[-1]["content"] == "Fine?" else "Yes.")
    )
    assert sorted(r.form for r in rows) == ["dialogue", "turn", "turn", "turn", "turn"]
    (end,) = [r for r in rows if r.form == "dialogue"]
    assert end.scores == {"repeat_agreement": 1.0, "doubt_agreement": 1.0}


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"turns": []}, "'turns' is no list of turns"),
        ({"history": "a"}, "'history' is no list of turns"),
        ({"turns": ["a", {"bot": "b"}]}, r"'turns\.2' says nothing"),
        ({"turns": [{"user": "a", "checks": {"max": 1}}]}, r"'turns\.1\.checks\.max' is no check"),
        ({"turns": ["a"], "system": 1}, "'system' is no text"),
    ],
)
def test_a_malformed_dialogue_is_named_by_its_line(
    runner: Make, record: dict[str, Any], said: str
) -> None:
    with pytest.raises(EvaluationError, match=said) as error:
        runner(SHORT, record)
    assert error.value.where.endswith("own.jsonl:2")


def test_checks_can_be_measured_only_where_there_are_some(runner: Make) -> None:
    with pytest.raises(EvaluationError, match="no turn has checks"):
        runner(SHORT, measure=("checks",))


def test_long_dialogues_are_cut(runner: Make) -> None:
    (only,) = runner(OWN, max_turns=2).cases
    assert len(only[1].turns) == 2


@pytest.mark.shared_data
def test_the_published_dialogues_are_read(shared_data: Path) -> None:
    section = {"kind": "dialogues", "name": "d", "path": str(shared_data / "mt_bench_101")}
    runner = open_dialogues(DialoguesSuite.model_validate(section), "test", 17)
    assert len(runner.cases) == 1388
    assert sum(len(d.turns) for _, d in runner.cases) == 4208
