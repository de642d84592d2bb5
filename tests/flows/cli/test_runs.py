"""The runs of a machine, listed and shown again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cli.runs import list_runs, show_run
from flows.report import RunReport, find_changes
from tasks.artifacts import Checkpoint, MixtureReceipt
from tasks.errors import DataError
from tasks.scores import Estimate, GateResult


@pytest.fixture
def keep(temper_home: Path) -> Callable[..., RunReport]:
    """A function that keeps a report of a run."""

    def make(run_id: str, ended: float, **more: Any) -> RunReport:
        gate = GateResult(
            metric="voc/macro_f1",
            rule="improve",
            verdict="PASS",
            base=0.1,
            candidate=0.4,
            difference=0.3,
            low=0.2,
            high=0.4,
            n=100,
            needed_n=None,
            reason="x | y",
        )
        estimate = Estimate(value=0.4, low=0.3, high=0.5, n=100)
        fields: dict[str, Any] = {
            "run_id": run_id,
            "name": "support",
            "recipe_digest": "d",
            "verdict": "PASS",
            "gates": (gate,),
            "metrics": {"base": {}, "candidate": {"voc/macro_f1": estimate}},
            "scorecard": temper_home,
            "checkpoint": temper_home,
            "lock": temper_home,
            "base_scores": (),
            "candidate_scores": (),
            "mixture": MixtureReceipt(
                path=temper_home,
                digest="m",
                rows=1,
                tokens=1,
                supervised_tokens=1,
                shards=(),
                sources=(),
            ),
            "trained": Checkpoint(
                path=temper_home,
                name="c",
                digest="c",
                tokenizer_digest="t",
                parent="p",
                steps=1,
                adapter_digest="a",
            ),
            "ended": ended,
        }
        report = RunReport(**{**fields, **more})
        report.save()
        return report

    return make


def test_runs_are_listed_by_when_they_ended_with_what_changed(
    keep: Callable[..., RunReport], capsys: pytest.CaptureFixture[str]
) -> None:
    keep("b" * 32, 20.0, settings={"mixture.domain_share": "0.5", "seed": "1"})
    keep("a" * 32, 10.0, settings={"mixture.domain_share": "0.75", "seed": "1"})
    keep("c" * 32, 30.0, name="other", settings={"seed": "1"})
    answer = list_runs()
    assert [run["run_id"][0] for run in answer.json["runs"]] == ["a", "b", "c"]
    changes = [run["changes"] for run in answer.json["runs"]]
    assert changes == [{}, {"mixture.domain_share": ("0.75", "0.5")}, {}]
    answer.print(as_json=False)
    assert "mixture.domain_share" in capsys.readouterr().out
    assert len(list_runs(last=1).json["runs"]) == 1


def test_a_run_is_shown_again_and_as_markdown(keep: Callable[..., RunReport]) -> None:
    keep("a" * 32, 10.0)
    assert show_run("aaaa").json["verdict"] == "PASS"
    text = show_run("aaaa", markdown=True).json["markdown"]
    assert "**PASS**" in text
    assert "x \\| y" in text
    assert "| voc/macro_f1 |  | 0.4 | 0.3 to 0.5 |" in text
    with pytest.raises(DataError, match="no such run"):
        show_run("zzz")


def test_a_field_that_only_one_run_has_is_a_change(keep: Callable[..., RunReport]) -> None:
    first = keep("a" * 32, 1.0, settings={"seed": "1"})
    second = keep("b" * 32, 2.0, settings={"seed": "1", "training.blend": "0.7"})
    assert find_changes(first, second) == {"training.blend": ("", "0.7")}
