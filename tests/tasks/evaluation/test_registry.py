import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from configs.evaluation import Suite
from tasks.artifacts import LocalModel
from tasks.errors import DataError
from tasks.evaluation.items import EvalContext
from tasks.scores import SuiteScores

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
