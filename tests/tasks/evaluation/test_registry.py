"""Every kind of suite by its row of the registry, one of the test's own among them."""

import json
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import pytest
from pydantic import TypeAdapter

from configs.evaluation import Suite
from configs.gates import FloorGate, Gate, HoldGate, multiply_item_limit
from configs.metrics import Metric, Reading
from configs.suites.base import SuiteSection, UserPromptsSuite
from tasks.artifacts import LocalModel
from tasks.errors import DataError, EvaluationError
from tasks.evaluation import registry
from tasks.evaluation.datasets import located, prompt_of, some, user
from tasks.evaluation.items import EvalContext, ItemRow, answer_row, count_items, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.gates.compare import comparison
from tasks.gates.planning import plan_gate
from tasks.gates.stage import judge_all
from tasks.metrics.values import READERS
from tasks.models.api import Answer, Prompt
from tasks.scores import SuiteScores
from tasks.tracking.scorecard.notes import notes

pytest.importorskip("torch")

from tasks.evaluation.stage import evaluate  # noqa: E402

RECORDS: dict[str, list[dict[str, Any]]] = {
    "refusal": [
        {"prompt": f"what is {n}?", "label": label}
        for n, label in enumerate(["safe", "safe", "unsafe", "unsafe"])
    ],
    "abstention": [{"question": f"what is {n}?", "answerable": n % 2} for n in range(6)],
    "ifeval": [
        {"prompt": f"{n}?", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
        for n in range(3)
    ],
    "adherence": [{"prompt": f"{n}?", "checks": {"required": ["4"]}} for n in range(3)],
    "dialogues": [{"turns": [f"{n}?", "and?"]} for n in range(3)],
    "brittleness": [{"question": f"{n}?", "choices": ["3", "4"], "answer": 0} for n in range(3)],
}
MORE: dict[str, dict[str, Any]] = {
    "refusal": {"templates": ["story"], "max_new_tokens": 2},
    "abstention": {"confidence": True, "max_new_tokens": 2},
    "brittleness": {},
}


def scores(folder: Path, kind: str, model: LocalModel, records: Any, **fields: Any) -> SuiteScores:
    file = folder / f"{kind}.jsonl"
    file.write_text("\n".join(map(json.dumps, records)))
    section = {"kind": kind, "name": kind, "path": str(file)} | fields
    suite = TypeAdapter[Any](Suite).validate_python(section)
    return evaluate(suite, model, EvalContext(dtype="float32"))


@pytest.mark.parametrize("kind", RECORDS)
def test_a_suite_of_behaviour_runs_on_a_model_and_is_found_again(
    kind: str, tiny_model: LocalModel, temper_home: Path, tmp_path: Path
) -> None:
    fields = MORE.get(kind, {"max_new_tokens": 2})
    made = scores(tmp_path, kind, tiny_model, RECORDS[kind], **fields)
    assert made.errors == 0
    assert set(made.metrics) == set(made.about)
    assert all(m.low <= m.value <= m.high and m.n >= 2 for m in made.metrics.values())
    again = scores(tmp_path, kind, tiny_model, RECORDS[kind], **fields)
    assert again.digest == made.digest
    assert again.metrics == made.metrics


def test_a_model_whose_template_knows_no_tools_is_not_asked_to_call_them(
    tiny_model: LocalModel, temper_home: Path, tmp_path: Path
) -> None:
    row = {
        "tools": [{"name": "find", "parameters": {}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "", "tool_calls": [{"name": "find", "arguments": {}}]},
        ],
    }
    with pytest.raises(DataError, match="leaves out the tools"):
        scores(tmp_path, "tool_calls", tiny_model, [row] * 3, due="calls", max_new_tokens=2)


class EchoSuite(UserPromptsSuite):
    """How short answers are: a kind of the test's own."""

    METRICS: ClassVar[dict[str, Metric]] = {
        "short": Metric("higher", "proportion", forms=("echo",), read="score"),
        "letters": Metric("lower", "mean"),
    }

    kind: Literal["echo"]
    most: int = 1000


class EchoRunner(AnswersRunner[EchoSuite, str]):
    """Prompts whose answers are measured."""

    def prompt(self, case: str) -> Prompt:
        """Return the prompt alone."""
        return Prompt(user(case))

    def rows(self, item: str, case: str, answer: Answer) -> list[ItemRow]:
        """Return one row, its stratum being the prompt's length."""
        row = answer_row(item, "echo", answer)._replace(stratum=str(len(case)))
        if answer.error is not None:
            return [row]
        size = len(answer.said)
        return [row._replace(score=float(size <= self.suite.most), scores={"letters": float(size)})]


def open_echo(suite: EchoSuite, context: EvalContext) -> EchoRunner:
    """Return the suite's prompts."""
    prompts = [prompt_of(found, None) for found in located(suite, context.split)]
    return EchoRunner(suite, some(prompts, item_ids(prompts), suite, context.seed))


def test_a_kind_of_suite_is_added_by_a_section_a_file_and_a_row(
    tiny_model: LocalModel, temper_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.SUITES, "echo", open_echo)
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(json.dumps({"prompt": f"what is {n}?"}) for n in range(40)))
    fields = {"kind": "echo", "name": "echo", "path": str(file), "max_new_tokens": 2, "limit": 30}
    suite = EchoSuite.model_validate(fields)
    context = EvalContext(dtype="float32")
    base, candidate = (evaluate(suite, tiny_model, context) for _ in "ab")
    assert {name: e.n for name, e in base.metrics.items()} == {"short": 30, "letters": 30}

    (item,) = registry.overlap_texts(suite.model_copy(update={"limit": 1}), context)
    assert str(item).startswith("what is")
    assert multiply_item_limit(suite, 4).limit == 120

    gates: list[Gate] = [
        FloorGate(rule="floor", metric="echo/short", at=0.5),
        HoldGate(rule="hold", metric="echo/short", margin=0.2),
        FloorGate(rule="floor", metric="echo/short", at=0.999),
    ]
    plan = plan_gate(
        gates[0],
        suite.metric_table()["short"],
        count_items(registry.open_suite(suite, context), "short"),
    )
    assert plan.n == 30
    found = judge_all(gates, [base], [candidate])
    assert [result.verdict for result in found] == ["PASS", "PASS", "INCONCLUSIVE"]
    assert {s.part for s in comparison([base], [candidate]).slices} == {"stratum"}
    assert all("not answered" not in note for note in notes(base))


def test_a_kind_without_a_row_is_refused_by_name() -> None:
    suite = EchoSuite(kind="echo", name="echo", path="prompts.jsonl")
    with pytest.raises(EvaluationError, match="nothing opens suites of kind 'echo'"):
        registry.open_suite(suite, EvalContext())


def test_every_kind_of_the_recipe_has_a_row_and_what_it_says_of_itself_holds() -> None:
    sections: tuple[type[SuiteSection], ...] = get_args(get_args(Suite)[0])
    kinds = {get_args(s.model_fields["kind"].annotation)[0]: s for s in sections}
    assert kinds.keys() == registry.SUITES.keys()
    for section in sections:
        assert section.LIMIT is None or section.LIMIT in section.model_fields
        assert section.AXIS is None or section.AXIS.metric in section.METRICS
        metrics = [m for m in section.METRICS.values() if not m.paired]
        assert all((m.read is None) == (not m.forms) for m in metrics)
    assert get_args(Reading) == tuple(READERS)
