"""What every kind of suite asks and keeps, pinned: stored answers are found again by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes.scripted_model import Scripted
from pydantic import TypeAdapter

from configs.evaluation import Suite
from tasks.artifacts import CleanSource
from tasks.evaluation import registry
from tasks.evaluation.items import EvalContext, SuiteRunner, items_digest
from tasks.evaluation.registry import open_suite
from tasks.models.api import Prompt
from tasks.storage import digest_of

pytest.importorskip("rouge_score")
pytest.importorskip("sacrebleu")

CALL = [{"id": "c1", "name": "find", "arguments": {"city": "Rome"}}]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"name": "find", "description": "d", "parameters": CITY}]
FILES: dict[str, list[dict[str, Any]]] = {
    "ifeval": [
        {
            "prompt": f"Say {n} words, no commas.",
            "kwargs": [{}],
            "instruction_id_list": ["punctuation:no_comma"],
        }
        for n in range(3)
    ],
    "tool_calls": [
        {
            "messages": [
                {"role": "user", "content": f"Weather in {city}?"},
                {"role": "assistant", "content": "", "tool_calls": json.dumps(CALL)},
                {"role": "tool", "content": "sun", "tool_call_id": "c1"},
                {"role": "assistant", "content": "Sunny."},
            ],
            "tools": json.dumps(TOOLS),
        }
        for city in ("Rome", "Oslo")
    ],
    "adherence": [
        {
            "prompt": "Who?",
            "system": "Be brief.",
            "category": "a",
            "group": "g",
            "checks": {"required": ["Ada"], "max_words": 3},
        },
        {"prompt": "Where?", "passage": "In Rome.", "checks": {"cited": ["Rome"]}},
    ],
    "open_answers": [
        {"query": "Capital?", "response": ["Lyon", "Paris"], "system": "Short."},
        {"query": "2 + 2?", "response": 4},
    ],
    "judge": [{"query": f"q{n}", "response": "a reference"} for n in range(3)],
    "bits_per_byte": [{"text": text} for text in ("one text", "another, longer text", "third")],
    "refusal": [
        {"prompt": f"{label} {n}", "label": label, "category": "c"}
        for n in range(2)
        for label in ("safe", "unsafe")
    ],
    "abstention": [{"question": f"q{n}", "answerable": n % 2 == 0} for n in range(4)],
    "dialogues": [
        {"turns": [{"user": "I am Ada.", "checks": {"required": ["Ada"]}}, "Fine?"]},
        {"turns": ["One?", "Two?"], "system": "Be brief."},
    ],
    "gsm8k": [{"question": f"{n} and one?", "answer": f"So #### {n + 1}"} for n in range(3)],
}
SERVED = {"kind": "endpoint", "url": "http://127.0.0.1:1/v1", "name": "judge", "revision": "one"}
MORE: dict[str, dict[str, Any]] = {
    "judge": {"judge": SERVED},
    "gsm8k": {"shots": 0},
    "refusal": {"label": "label"},
    "abstention": {"answerable": "answerable"},
}
OF_SOURCE: dict[str, dict[str, Any]] = {
    "classification": {"kind": "classification"},
    "several": {"kind": "classification", "several": True, "divider": ";"},
    "extraction": {"kind": "extraction", "span": "text"},
    "bits_per_byte of rows": {"kind": "bits_per_byte"},
    "open_answers of rows": {"kind": "open_answers"},
}
PINNED = {
    "ifeval": ("746fdd2b6aba", "06c5c08c0729"),
    "tool_calls": ("81693c12820b", "011e3d76ee5b"),
    "adherence": ("fca09f6829a7", "3094478e85a9"),
    "open_answers": ("05837ddd5016", "1e91894564ee"),
    "judge": ("db35d0a3583e", "cb38ca316bda"),
    "bits_per_byte": ("c363254b537c", "73d153fbce0c"),
    "refusal": ("7e2d5d78e770", "b6a03ebade01"),
    "abstention": ("914dce4c9f3d", "8c105b35b613"),
    "dialogues": ("8e5cbc6515e2", "a2aa10ffc45e"),
    "gsm8k": ("380025a7fefe", "59cac0c785ba"),
    "classification": ("2db76f11ee34", "224670e02978"),
    "several": ("274b7684d1f2", "521a62004832"),
    "extraction": ("1a496a5346fe", "06cbcd8546ba"),
    "bits_per_byte of rows": ("d893deb54e6b", "1a8a81996fad"),
    "open_answers of rows": ("4ad73e78a7e1", "b8a2255859f7"),
}
"""Of each suite: what is asked, and the rows, overlap and labels that come of it."""


def _said(prompt: Prompt) -> str | None:
    last = prompt.messages[-1]["content"]
    return None if last == "Where?" else f"I can't say Ada, x; y. #### 2 [{last[-3:]}]"


@pytest.fixture
def opened(
    tmp_path: Path,
    clean_source: Callable[..., CleanSource],
    chat: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], SuiteRunner]:
    """A function from a name of ``PINNED`` to its runner."""
    judge = Scripted(lambda prompt: "Verdict: first")
    monkeypatch.setattr(registry, "_judge", lambda suite: judge)

    def make(name: str) -> SuiteRunner:
        golds = [[{"label": x, "text": "late"}] for x in "xyxy"]
        rows = [
            chat(
                f"p{n}",
                json.dumps(gold) if name == "extraction" else gold[0]["label"],
                f"g{n // 2}",
            )
            for n, gold in enumerate(golds)
        ]
        context = EvalContext("test", 17, "float32", {"voc": clean_source(test=rows, train=rows)})
        section = {"name": "suite"} | OF_SOURCE.get(name, {"kind": name})
        if name in FILES:
            file = tmp_path / f"{name}.jsonl"
            file.write_text("".join(json.dumps(r) + "\n" for r in FILES[name]))
            section |= {"path": str(file)} | MORE.get(name, {})
        else:
            section |= {"source": "voc"}
        return open_suite(TypeAdapter(Suite).validate_python(section), context)

    return make


def _digests(runner: SuiteRunner) -> tuple[str, str]:
    """Return the digest of what is asked, and of all that comes of it with the scripted model."""
    rows = runner.run(Scripted(_said, lambda _, text: -float(len(text))))
    overlap = [repr(x) for x in runner.overlap()]
    rest = digest_of([items_digest(rows), overlap, runner.labels, runner.needs])
    return runner.content[:12], rest[:12]


@pytest.mark.parametrize("name", PINNED)
def test_the_same_items_are_asked_and_marked_as_ever(
    opened: Callable[[str], SuiteRunner], name: str
) -> None:
    assert _digests(opened(name)) == PINNED[name]
