"""Tasks of the harness put to our models, beside the harness's own models."""

import copy
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes.scripted_model import Scripted

from configs.suites.harness import HarnessMetric, HarnessSuite
from tasks.artifacts import LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.harness.samples import import_samples, rows_of
from tasks.evaluation.items import EvalContext
from tasks.gates.pairing import pair
from tasks.text.overlap import Item

pytest.importorskip("lm_eval")
pytest.importorskip("torch")

from tasks.evaluation.harness.runner import open_harness  # noqa: E402
from tasks.evaluation.stage import evaluate  # noqa: E402
from tasks.models.factory import open_model  # noqa: E402

CHOICE = """
task: made_choice
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/test.jsonl, dev: {folder}/dev.jsonl}}
  cache_dir: {folder}/c
test_split: test
fewshot_split: dev
fewshot_config: {{sampler: first_n}}
output_type: multiple_choice
doc_to_text: "{{{{question}}}} Answer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
metadata: {{version: 1.0}}
"""
WRITTEN = """
task: made_written
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/test.jsonl}}, cache_dir: {folder}/c}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}} Answer:"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["8", "\\n\\n"], max_gen_toks: 12}}
filter_list:
  - name: first
    filter: [{{function: regex, regex_pattern: "(\\\\d)"}}, {{function: take_first}}]
  - {{name: whole, filter: [{{function: take_first}}]}}
metric_list: [{{metric: exact_match}}]
metadata: {{version: 1.0}}
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks over six sums."""
    folder = tmp_path_factory.mktemp("tasks")
    rows = [
        {
            "question": f"what is {i} plus {i + 1}?",
            "answer": i % 3,
            "choices": [str(2 * i + 1 - i % 3 + k) for k in range(3)],
        }
        for i in range(8)
    ]
    for name, part in (("test", rows[:6]), ("dev", rows[6:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in part))
    (folder / "choice.yaml").write_text(CHOICE.format(folder=folder))
    (folder / "written.yaml").write_text(WRITTEN.format(folder=folder))
    return folder


def suite(tasks: Path, task: str, *metrics: str, **fields: Any) -> HarnessSuite:
    named = {name: HarnessMetric() for name in metrics}
    return HarnessSuite(
        kind="harness", name="h", task=task, include=str(tasks), metrics=named, **fields
    )


def theirs(model: LocalModel, tasks: Path, task: str, folder: Path, **fields: Any) -> list[Any]:
    """The samples of the harness's own model; also written as it logs them."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    found = simple_evaluate(
        model=HFLM(pretrained=str(model.path), device="cpu", dtype="float32", batch_size=4),
        tasks=[task],
        log_samples=True,
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        **fields,
    )
    # Writing the log turns what it is given into text.
    samples: list[Any] = copy.deepcopy(found["samples"][task])
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.save_results_aggregated(results=found, samples=found["samples"])
    tracker.save_results_samples(task_name=task, samples=found["samples"][task])
    return samples


def test_options_are_scored_as_by_the_harness_and_its_log_is_read_to_the_same(
    temper_home: Path, tasks: Path, tiny_model: LocalModel, tmp_path: Path
) -> None:
    spec = suite(tasks, "made_choice", "acc", "acc_norm", shots=2)
    samples = theirs(tiny_model, tasks, "made_choice", tmp_path, num_fewshot=2)
    scores = evaluate(spec, tiny_model, EvalContext(dtype="float32"))
    rows = pq.read_table(scores.items).to_pylist()
    assert len(rows) == len(samples) == 6
    for row, sample in zip(rows, samples, strict=True):
        expected = [logprob for logprob, _ in sample["filtered_resps"]]
        assert row["choice_logprobs"] == pytest.approx(expected, abs=1e-4)
        assert dict(row["scores"]) == {m: float(sample[m]) for m in ("acc", "acc_norm")}
        assert (row["gold_index"], row["stratum"]) == (sample["target"], "made_choice")
        assert row["prompt_tokens"] > 20
    (log,) = tmp_path.rglob("samples_*.jsonl")
    logged = import_samples([log], spec)
    assert logged.metrics == scores.metrics
    kept = ("item_id", "prompt_digest", "gold", "gold_index", "scores")
    assert [[r[k] for k in kept] for r in pq.read_table(logged.items).to_pylist()] == [
        [r[k] for k in kept] for r in rows
    ]
    assert pair(logged, scores).difference("acc", 0.95).value == 0


def test_written_answers_and_each_filter_are_as_by_the_harness(
    temper_home: Path, tasks: Path, tiny_model: LocalModel, tmp_path: Path
) -> None:
    names = ("exact_match.first", "exact_match.whole")
    samples = theirs(tiny_model, tasks, "made_written", tmp_path)
    runner = open_harness(suite(tasks, "made_written", *names), "test")
    assert runner.needs == "answers"
    rows = runner.run(open_model(tiny_model, "float32"))
    assert len(samples) == 2 * len(rows) == 12
    for row in rows:
        of_doc = [s for s in samples if s["prompt_hash"][:32] == row.prompt_digest]
        assert row.raw_output == of_doc[0]["resps"][0][0]
        assert row.scores == {f"exact_match.{s['filter']}": s["exact_match"] for s in of_doc}


def test_a_conversation_reaches_the_model_as_messages(tasks: Path) -> None:
    seen: list[Any] = []

    def answer(prompt: Any) -> str:
        seen.append(prompt.messages)
        return "1"

    runner = open_harness(
        suite(tasks, "made_written", "exact_match.whole", chat=True, limit=1), "test"
    )
    (row,) = runner.run(Scripted(answer))
    assert seen == [[{"role": "user", "content": "what is 0 plus 1? Answer:"}]]
    assert row.raw_output == "1"
    assert row.scores == {"exact_match.whole": 1.0}


def test_items_are_known_before_any_model_is(tasks: Path) -> None:
    runner = open_harness(suite(tasks, "made_choice", "acc", limit=2), "test")
    assert runner.needs == "log_probs"
    assert runner.overlap()[0] == Item("what is 0 plus 1? Answer:", ("1", "2", "3"))
    assert len(runner.overlap()) == 2
    whole, shown = suite(tasks, "made_choice", "acc"), suite(tasks, "made_choice", "acc", shots=1)
    contents = {open_harness(s, "test").content for s in (runner.suite, whole, shown)}
    assert len(contents) == 3
    assert open_harness(whole, "test").content in contents


def test_what_can_not_be_done_is_told(tasks: Path) -> None:
    with pytest.raises(EvaluationError, match="gives no number 'f1'.*acc, acc_norm"):
        open_harness(suite(tasks, "made_choice", "f1"), "test").run(
            Scripted(score=lambda context, option: -float(len(option)))
        )
    with pytest.raises(EvaluationError, match="not for choosing"):
        open_harness(suite(tasks, "made_choice", "acc"), "dev")
    with pytest.raises(EvaluationError, match="no sample log"):
        import_samples([tasks / "test.jsonl"], suite(tasks, "made_choice", "acc"))


def test_items_that_a_model_did_not_answer_are_marked(tasks: Path) -> None:
    runner = open_harness(suite(tasks, "made_written", "exact_match.whole"), "test")
    rows = runner.run(Scripted(lambda p: None if "3 plus" in p.messages[0]["content"] else "1"))
    assert [row.error is not None for row in rows] == [False, False, False, True, False, False]


def test_copies_of_an_item_in_a_log_keep_their_own_rows(tasks: Path) -> None:
    sample = {
        "doc_id": 0,
        "doc_hash": "d",
        "prompt_hash": "p",
        "target": "x",
        "filter": "none",
        "resps": [["x"]],
        "filtered_resps": ["x"],
        "metrics": ["acc"],
        "acc": 1,
    }
    rows = rows_of({"t": [sample, sample | {"doc_id": 1}]}, suite(tasks, "t", "acc"), {})
    assert len({row.item_id for row in rows}) == 2
