"""Suites whose items hold several checks mark each item right or wrong, so that flips are shown."""

import json
from pathlib import Path
from typing import Any

from fakes.scripted_model import Scripted
from pydantic import TypeAdapter

from configs.evaluation import Suite
from configs.suites.harness import HarnessMetric, HarnessSuite
from tasks.evaluation.harness.samples import rows_of
from tasks.evaluation.items import EvalContext
from tasks.evaluation.registry import open_suite
from tasks.evaluation.stage import score_suite
from tasks.gates.compare import Flip, flips
from tasks.gates.pairing import pair
from tasks.scores import SuiteScores

RECORDS: dict[str, dict[str, Any]] = {
    "ifeval": {
        "prompt": "No commas.",
        "kwargs": [{}],
        "instruction_id_list": ["punctuation:no_comma"],
    },
    "adherence": {"prompt": "Say tea.", "checks": {"forbidden": [","], "required": ["tea"]}},
    "dialogues": {
        "turns": [
            {"user": "Hello.", "checks": {"required": ["tea"]}},
            {"user": "Again.", "checks": {"forbidden": [","]}},
        ]
    },
}


class Saying(Scripted):
    """One that always says the same."""

    def __init__(self, text: str) -> None:
        super().__init__(lambda _: text)
        self.text = text

    @property
    def digest(self) -> str:
        return self.text


def flipped(kind: str, folder: Path) -> tuple[SuiteScores, list[Flip]]:
    (folder / "items.jsonl").write_text("\n".join([json.dumps(RECORDS[kind])] * 2))
    more = {"measure": ["checks"]} if kind == "dialogues" else {}
    fields = {"kind": kind, "name": kind, "path": str(folder / "items.jsonl")} | more
    suite: Suite = TypeAdapter(Suite).validate_python(fields)
    context = EvalContext()
    one, other = (
        score_suite((suite, open_suite(suite, context)), (Saying(text), text), context)
        for text in ("tea", "tea, milk")
    )
    return one, flips(
        kind, pair(one, one.model_copy(update={"path": other.path, "metrics": other.metrics})), 3
    )


def test_a_prompt_whose_instructions_are_no_longer_kept_is_shown(
    temper_home: Path, tmp_path: Path
) -> None:
    scores, (flip, _) = flipped("ifeval", tmp_path)
    assert (flip.form, flip.lost, flip.second.output) == ("prompt", True, "tea, milk")
    assert {name: e.n for name, e in scores.metrics.items()} == {
        "prompt_strict": 2,
        "prompt_loose": 2,
        "instruction_strict": 2,
        "instruction_loose": 2,
    }


def test_an_item_whose_checks_are_no_longer_kept_is_shown(
    temper_home: Path, tmp_path: Path
) -> None:
    scores, (flip, _) = flipped("adherence", tmp_path)
    assert (flip.form, flip.lost, flip.first.output) == ("item", True, "tea")
    assert {name: e.n for name, e in scores.metrics.items()} == {"kept": 2, "checks_kept": 4}


def test_a_dialogue_that_is_no_longer_kept_is_shown(temper_home: Path, tmp_path: Path) -> None:
    scores, (flip, _) = flipped("dialogues", tmp_path)
    assert (flip.form, flip.lost) == ("dialogue", True)
    said = (flip.first.prediction, flip.second.prediction)
    assert said == ("2 of 2 turns kept", "1 of 2 turns kept")
    assert {name: e.n for name, e in scores.metrics.items()} == {"turn_kept": 4, "dialogue_kept": 2}


def test_the_harnesss_first_metric_of_right_and_wrong_marks_its_items() -> None:
    sample = {
        "doc_id": 0,
        "doc_hash": "d",
        "prompt_hash": "p",
        "target": "x",
        "filter": "none",
        "resps": [["y"]],
        "filtered_resps": ["y"],
        "metrics": ["f1", "ter", "acc"],
        "f1": 0.5,
        "ter": 1.0,
        "acc": 0.0,
    }
    kinds = {
        "f1": HarnessMetric(estimator="mean"),
        "ter": HarnessMetric(better="lower"),
        "acc": HarnessMetric(),
    }

    def score(*names: str) -> float | None:
        named = {name: kinds[name] for name in names}
        suite = HarnessSuite(kind="harness", name="h", task="t", metrics=named)
        (row,) = rows_of({"t": [sample]}, suite, {})
        assert row.scores == {name: sample[name] for name in names}
        return row.score

    assert score("f1", "ter", "acc") == 0.0
    assert score("f1", "ter") is None
