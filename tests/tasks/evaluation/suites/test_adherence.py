import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted

from configs.suites.behaviour import AdherenceSuite
from tasks.errors import EvaluationError
from tasks.evaluation.items import write_items
from tasks.evaluation.suites.adherence import AdherenceRunner, open_adherence
from tasks.metrics.estimates import estimate_all
from tasks.models.api import Prompt

POLICY = {
    "prompt": "Can I send it back?",
    "passage": "Goods may be sent back within 14 days.",
    "system": "You are a clerk. Never promise money.",
    "category": "policy",
    "checks": {"required": ["14 days"], "forbidden": ["money"]},
}
PLAIN = {"prompt": "Say hello.", "checks": {"required": ["hello"]}}

Make = Callable[..., AdherenceRunner]


@pytest.fixture
def runner(tmp_path: Path) -> Make:
    def make(*records: Any, **fields: Any) -> AdherenceRunner:
        file = tmp_path / "own.jsonl"
        file.write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in records))
        section = {"kind": "adherence", "name": "own", "path": str(file)} | fields
        return open_adherence(AdherenceSuite.model_validate(section), "test", 17)

    return make


def test_items_and_single_checks_are_counted(runner: Make, tmp_path: Path) -> None:
    made = runner(POLICY, PLAIN)
    asked: list[Prompt] = []

    def say(prompt: Prompt) -> str:
        asked.append(prompt)
        return "Hello, money back within 14 days."

    rows = made.run(Scripted(say))
    write_items(tmp_path / "items.parquet", "own", rows, None)
    found = estimate_all(tmp_path / "items.parquet", made.suite.metric_table())
    assert found["kept"].value == 0.5
    assert (found["checks_kept"].value, found["checks_kept"].n) == (pytest.approx(2 / 3), 3)
    (policy,) = [p.messages for p in asked if len(p.messages) == 2]
    assert policy[0] == {"role": "system", "content": POLICY["system"]}
    assert policy[1]["content"] == f"{POLICY['passage']}\n\n{POLICY['prompt']}"
    assert {r.stratum for r in rows} == {"policy", None}


def test_turns_may_be_given_instead_of_a_prompt(runner: Make) -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    made = runner({"messages": turns, "checks": {"required": ["x"]}}, PLAIN)
    assert [len(case.prompt) for _, case in made.cases] == [3, 1]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"checks": {"required": ["a"]}}, "'prompt' and 'messages' are both given"),
        ({**PLAIN, "messages": []}, "are both given"),
        ({**PLAIN, "prompt": 3}, "'prompt' is no text"),
        (
            {"messages": [{"role": "assistant", "content": "a"}], "checks": {"required": ["a"]}},
            "ends with the user's",
        ),
        ({**PLAIN, "system": 3}, "'system' is no text"),
        ({**PLAIN, "passage": ["a"]}, "'passage' is no text"),
        ({"prompt": "a"}, "'checks' is no object"),
        ('{"prompt": "a",}', "not JSON: Expecting"),
        ("[1]", "not a JSON object"),
    ],
)
def test_a_malformed_item_is_named_by_file_line_and_field(
    runner: Make, record: Any, said: str
) -> None:
    with pytest.raises(EvaluationError, match=said) as error:
        runner(PLAIN, "", record)
    assert error.value.where.endswith("own.jsonl:3")
    assert error.value.fix


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "own[1].jsonl").write_bytes(b'{"prompt": "\xff"}')
    suite = AdherenceSuite.model_validate(
        {"kind": "adherence", "name": "own", "path": str(tmp_path)}
    )
    with pytest.raises(EvaluationError, match="not UTF-8"):
        open_adherence(suite, "test", 17)


def test_an_item_that_was_not_answered_has_no_scores(runner: Make) -> None:
    rows = runner(POLICY, PLAIN).run(Scripted(lambda _: None))
    assert [(r.form, r.scores) for r in rows] == [("item", None)] * 2
