"""Evaluations that were stopped, judged anew, or put to an endpoint."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.evaluation import Suite
from configs.models import Endpoint
from tasks.artifacts import CleanSource, LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.items import EvalContext
from tasks.evaluation.stage import evaluate
from tasks.evaluation.suites import classification
from tasks.models.api import Engine
from tasks.scores import SuiteScores

pytest.importorskip("torch")

from fakes.openai_server import Faults, serving  # noqa: E402

from tasks.models import factory  # noqa: E402
from tasks.models.local import scoring
from tasks.models.served import base

Make = Callable[..., CleanSource]
FLOAT32 = EvalContext(dtype="float32")
PROGRAM = """
import sys
from configs.suites.mmlu import MmluSuite
from tasks.artifacts import LocalModel
from tasks.evaluation.items import EvalContext
from tasks.evaluation.stage import evaluate
from tasks.models import cache
from tasks.models.local import scoring

cache.EVERY_S = 0.0
real = scoring._hidden
def halting(*given):
    print("batch", flush=True)
    sys.stdin.readline()
    return real(*given)
scoring._hidden = halting
evaluate(MmluSuite.model_validate_json(sys.argv[1]), LocalModel.model_validate_json(sys.argv[2]),
         EvalContext(dtype="float32"))
"""
"""An evaluation that waits before each batch until it is told to go on."""


def suite(**fields: Any) -> Suite:
    found: Suite = TypeAdapter(Suite).validate_python(fields)
    return found


def table(scores: SuiteScores) -> list[dict[str, Any]]:
    return [{**row, "latency_s": 0} for row in pq.read_table(scores.items).to_pylist()]


@pytest.fixture
def voc(clean_source: Make, chat: Any) -> EvalContext:
    rows = [chat(f"what is {i} plus {i}?", "xyz"[i % 3]) for i in range(24)]
    return EvalContext(dtype="float32", sources={"voc": clean_source(test=rows)})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each piece of work that a model did."""
    done: list[str] = []
    for name in ("generate_batches", "score_choice_batches", "score_text_batches"):
        real = getattr(factory.Transformer, name)

        def counted(self: Any, *given: Any, real: Any = real, name: str = name) -> Any:
            for batch in real(self, *given):
                done.append(name)
                yield batch

        monkeypatch.setattr(factory.Transformer, name, counted)
    return done


@pytest.mark.usefixtures("forked")
def test_an_evaluation_that_was_killed_ends_with_the_same_table(
    tmp_path: Path, mmlu_folder: Path, tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = suite(kind="mmlu", name="m", path=str(mmlu_folder), cloze=False, batch_tokens=200)
    home = tmp_path / "killed"
    _kill_after(2, home, spec, tiny_model)
    assert len(list((home / "answers").rglob("*.parquet"))) == 2
    assert not (home / "scores").exists()

    batches: list[int] = []
    real = scoring._hidden
    monkeypatch.setattr(scoring, "_hidden", lambda *x: batches.append(1) or real(*x))
    monkeypatch.setenv("TEMPER_HOME", str(home))
    resumed = evaluate(spec, tiny_model, FLOAT32)
    left = len(batches)
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "whole"))
    whole = evaluate(spec, tiny_model, FLOAT32)
    assert len(batches) - left == left + 2
    assert left >= 2
    assert table(resumed) == table(whole)
    assert resumed.metrics == whole.metrics


def _kill_after(batches: int, home: Path, spec: Suite, model: LocalModel) -> None:
    """Evaluate in a process of its own, and kill it in the middle of the next batch."""
    words = [sys.executable, "-c", PROGRAM, spec.model_dump_json(), model.model_dump_json()]
    process = subprocess.Popen(
        words,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "TEMPER_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    for _ in range(batches):
        assert process.stdout.readline() == "batch\n"
        process.stdin.write("\n")
        process.stdin.flush()
    # It stands before one more batch, so that those before are on disk.
    assert process.stdout.readline() == "batch\n"
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_changed_scorer_costs_no_inference(
    temper_home: Path,
    voc: EvalContext,
    tiny_model: LocalModel,
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = suite(kind="classification", name="voc", source="voc", max_new_tokens=2, batch_size=8)
    first = evaluate(spec, tiny_model, voc)
    assert asked == ["generate_batches"] * 3
    real = classification.parse_label
    monkeypatch.setattr(classification, "parse_label", lambda *x: real(*x) or "x")
    # Of the keys of stages alone: what the model answers is as it was.
    monkeypatch.setattr("tasks.storage.code_digest", lambda entry: f"{entry}, edited")
    second = evaluate(spec, tiny_model, voc)
    assert asked == ["generate_batches"] * 3
    assert second.path != first.path
    assert second.metrics["accuracy"].value == pytest.approx(1 / 3)
    raw = [[row["raw_output"] for row in table(s)] for s in (first, second)]
    assert raw[0] == raw[1]


def test_the_same_model_twice_gives_the_same_items_bit_for_bit(
    tmp_path: Path,
    mmlu_folder: Path,
    voc: EvalContext,
    tiny_model: LocalModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    suites = [
        suite(kind="mmlu", name="m", path=str(mmlu_folder)),
        suite(kind="classification", name="voc", source="voc", max_new_tokens=4),
        suite(kind="bits_per_byte", name="b", source="voc"),
    ]
    found = []
    for home in ("first", "second"):
        monkeypatch.setenv("TEMPER_HOME", str(tmp_path / home))
        found.append([table(evaluate(s, tiny_model, voc)) for s in suites])
    assert found[0] == found[1]


def test_the_size_of_batches_changes_no_answer(
    tmp_path: Path,
    mmlu_folder: Path,
    voc: EvalContext,
    tiny_model: LocalModel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said, chosen = [], []
    for size, tokens in ((1, 1), (8, 800), (32, 4096)):
        monkeypatch.setenv("TEMPER_HOME", str(tmp_path / str(size)))
        labels = suite(
            kind="classification", name="v", source="voc", max_new_tokens=6, batch_size=size
        )
        letters = suite(kind="mmlu", name="m", path=str(mmlu_folder), batch_tokens=tokens)
        said.append([row["raw_output"] for row in table(evaluate(labels, tiny_model, voc))])
        chosen.append([row["prediction"] for row in table(evaluate(letters, tiny_model, voc))])
    assert said[0] == said[1] == said[2]
    assert chosen[0] == chosen[1] == chosen[2]
    assert len(set(said[0])) > 1


@pytest.fixture
def served(tiny_model: LocalModel) -> Engine:
    return factory.open_model(tiny_model, "float32")


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_an_endpoint_scores_as_the_model_behind_it(
    temper_home: Path,
    voc: EvalContext,
    tiny_model: LocalModel,
    served: Engine,
    rate: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "FIRST_WAIT_S", 0.01)
    spec = suite(kind="classification", name="voc", source="voc", max_new_tokens=4)
    direct = evaluate(spec, tiny_model, voc)
    with serving(served, faults=Faults(rate, late_s=0.01)) as server:
        asked = Endpoint(kind="endpoint", url=server.url, name="tiny", attempts=10)
        through = evaluate(spec, asked, voc)
    assert (server.failed > 0) == (rate > 0)
    assert through.errors == 0
    kept = ("item_id", "prediction", "raw_output", "score", "truncated", "prompt_tokens")
    rows = [[{k: row[k] for k in kept} for row in table(s)] for s in (direct, through)]
    assert rows[0] == rows[1]
    assert through.metrics == direct.metrics


def test_items_without_an_answer_are_recorded_and_asked_again(
    temper_home: Path, voc: EvalContext, served: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FIRST_WAIT_S", 0.001)
    spec = suite(kind="classification", name="voc", source="voc", max_new_tokens=2)
    with serving(served, faults=Faults(0.5, ("error",))) as server:
        asked = Endpoint(kind="endpoint", url=server.url, name="tiny", attempts=1)
        first = evaluate(spec, asked, voc)
        assert 0 < first.errors < 24
        assert sum(row["error"] is not None for row in table(first)) == first.errors
        server.faults = Faults(0.0)
        before = server.requests
        second = evaluate(spec, asked, voc)
        assert server.requests - before == first.errors
    assert second.errors == 0
    assert second.path != first.path


def test_a_suite_of_log_probabilities_refuses_a_model_that_gives_none(
    temper_home: Path, mmlu_folder: Path
) -> None:
    asked = Endpoint(kind="endpoint", url="http://127.0.0.1:1/v1", name="tiny")
    with pytest.raises(EvaluationError, match="needs log-probabilities, and the model 'tiny'"):
        evaluate(suite(kind="mmlu", name="m", path=str(mmlu_folder)), asked, FLOAT32)


def test_a_manifest_says_what_the_answers_were_made_with(
    temper_home: Path, mmlu_folder: Path, tiny_model: LocalModel
) -> None:
    spec = suite(kind="mmlu", name="m", path=str(mmlu_folder), items_per_subject=2)
    scores = evaluate(spec, tiny_model, FLOAT32)
    made = json.loads((scores.path / "manifest.json").read_text())["receipt"]["made"]
    assert made["weights"] == tiny_model.digest
    assert made["tokenizer"] == tiny_model.tokenizer_digest
    assert (made["dtype"], made["backend"], made["split"]) == ("float32", "transformers", "test")
    assert {"template", "stopping", "items", "seed", "code", "versions", "device"} <= set(made)
    assert scores.protocol["shots"] == 0
    assert str(mmlu_folder) not in json.dumps(made) + json.dumps(scores.protocol)
