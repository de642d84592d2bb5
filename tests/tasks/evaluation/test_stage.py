import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.evaluation import Suite
from tasks.artifacts import CleanSource, LocalModel
from tasks.errors import EvaluationError
from tasks.evaluation.items import ITEM_SCHEMA, EvalContext
from tasks.evaluation.registry import overlap_texts
from tasks.evaluation.stage import evaluate
from tasks.scores import SuiteScores
from tasks.text.chat import load_tokenizer
from tasks.text.overlap import Item

pytest.importorskip("torch")

Make = Callable[..., CleanSource]


def suite(**fields: Any) -> Suite:
    found: Suite = TypeAdapter(Suite).validate_python(fields)
    return found


@pytest.fixture
def mmlu(mmlu_folder: Path) -> Suite:
    return suite(kind="mmlu", name="mmlu", path=str(mmlu_folder), items_per_subject=3)


@pytest.fixture
def context(clean_source: Make, chat: Any) -> EvalContext:
    rows = [chat(f"what is {i}?", "xy"[i % 2]) for i in range(6)]
    spans = [chat(f"{i}?", json.dumps([{"label": "xy"[i % 2]}])) for i in range(4)]
    sources = {"voc": clean_source(test=rows), "spans": clean_source(test=spans)}
    return EvalContext(dtype="float32", sources=sources)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each suite that reads its own."""
    rows: dict[str, list[dict[str, Any]]] = {
        "choices": [
            {"question": f"{i}?", "choices": ["a", "bc"], "answer": i % 2} for i in range(4)
        ],
        "sums": [{"question": f"{i}?", "answer": f"#### {i}"} for i in range(4)],
        "open": [{"query": f"{i}?", "response": [str(i)]} for i in range(4)],
    }
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    return {name: str(tmp_path / f"{name}.jsonl") for name in rows}


def test_every_suite_leaves_its_items_and_all_its_metrics(
    temper_home: Path,
    mmlu: Suite,
    context: EvalContext,
    tiny_model: LocalModel,
    files: dict[str, str],
) -> None:
    listed = (
        {"several": True},
        {"several": True, "hierarchy": ">", "levels": 2},
        {"hierarchy": ">", "levels": 2},
    )
    suites = [
        mmlu,
        *(
            suite(kind="classification", name="voc", source="voc", max_new_tokens=2, **more)
            for more in listed
        ),
        suite(kind="extraction", name="spans", source="spans", max_new_tokens=2),
        suite(kind="multiple_choice", name="own", path=files["choices"], letters=True),
        suite(
            kind="gsm8k",
            name="sums",
            path=files["sums"],
            shots=1,
            examples=files["sums"],
            max_new_tokens=8,
        ),
        suite(kind="open_answers", name="open", path=files["open"], max_new_tokens=2),
        suite(kind="classification", name="voc", source="voc", max_new_tokens=2),
        suite(kind="bits_per_byte", name="general", source="voc"),
    ]
    for each in suites:
        scores = evaluate(each, tiny_model, context)
        # Metrics of two models are in no one model's scores.
        assert set(scores.metrics) == {n for n, m in each.metric_table().items() if not m.paired}
        table = pq.read_table(scores.items)
        assert table.schema.equals(ITEM_SCHEMA, check_metadata=False)
        assert set(table["suite"].to_pylist()) == {each.name}
        assert scores.path.parent == temper_home / "scores"
        assert scores.weights_digest == tiny_model.digest
    labels = pq.read_table(evaluate(suites[-2], tiny_model, context).items).schema.metadata
    assert json.loads(labels[b"labels"]) == ["x", "y"]


def test_a_suite_is_put_to_a_model_once(
    temper_home: Path, mmlu: Suite, tiny_model: LocalModel, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    context = EvalContext(dtype="float32")
    first = evaluate(mmlu, tiny_model, context, lambda *x: told.append(x))
    assert told[-1] == (12, 12)
    elsewhere = Path(shutil.copytree(tiny_model.path, tmp_path / "copy"))
    moved = tiny_model.model_copy(update={"path": elsewhere, "name": "other"})
    told.clear()
    assert evaluate(mmlu, moved, context, lambda *x: told.append(x)) == first
    assert told == []


def test_other_weights_seeds_splits_and_dtypes_are_evaluated_anew(
    temper_home: Path, mmlu: Suite, tiny_model: LocalModel
) -> None:
    base = evaluate(mmlu, tiny_model, EvalContext(dtype="float32"))
    other = tiny_model.model_copy(update={"digest": "f" * 64})
    found: list[SuiteScores] = [
        evaluate(mmlu, other, EvalContext(dtype="float32")),
        evaluate(mmlu, tiny_model, EvalContext(dtype="float32", seed=18)),
        evaluate(mmlu, tiny_model, EvalContext(dtype="float32", split="dev")),
        evaluate(mmlu, tiny_model, EvalContext(dtype="bfloat16")),
    ]
    assert len({s.path for s in [base, *found]}) == 5
    same = [s.fingerprint == base.fingerprint for s in found]
    assert same == [True, False, False, True]
    assert found[0].digest == base.digest


def test_the_fingerprint_tells_protocols_apart(
    temper_home: Path, mmlu: Suite, tiny_model: LocalModel
) -> None:
    context = EvalContext(dtype="float32")
    base = evaluate(mmlu, tiny_model, context).fingerprint
    shown = mmlu.model_copy(update={"shots": 2})
    renamed = mmlu.model_copy(update={"name": "again", "batch_tokens": 200})
    assert evaluate(shown, tiny_model, context).fingerprint != base
    assert evaluate(renamed, tiny_model, context).fingerprint == base


def test_a_source_that_was_not_prepared_is_named(tiny_model: LocalModel, temper_home: Path) -> None:
    missing = suite(kind="classification", name="voc", source="voc")
    with pytest.raises(EvaluationError, match="the source 'voc' wasn't prepared"):
        evaluate(missing, tiny_model, EvalContext())


def test_the_texts_to_keep_out_of_training_are_those_asked(
    mmlu: Suite, context: EvalContext, tmp_path: Path
) -> None:
    texts = overlap_texts(mmlu, context)
    assert len(texts) == 6
    assert all(isinstance(t, Item) and len(t.choices) == 4 for t in texts)
    domain = overlap_texts(suite(kind="classification", name="v", source="voc"), context)
    assert sorted(domain) == [f"what is {i}?" for i in range(6)]
    (tmp_path / "a.txt").write_text("a held-out text")
    held = suite(kind="bits_per_byte", name="g", path=str(tmp_path / "a.txt"))
    assert overlap_texts(held, context) == ["a held-out text"]


def test_a_plan_without_torch_can_name_the_items(mmlu_folder: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from configs.suites.mmlu import MmluSuite\n"
        "from tasks.evaluation.items import EvalContext\n"
        "from tasks.evaluation.registry import overlap_texts\n"
        f"s = MmluSuite(kind='mmlu', name='m', path={str(mmlu_folder)!r})\n"
        "print(len(overlap_texts(s, EvalContext())), 'torch' in sys.modules)"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True)
    assert done.stdout.split() == ["18", "False"], done.stderr


def test_labels_that_no_answer_has_room_for_are_refused_before_any_is_asked(
    temper_home: Path, clean_source: Make, chat: Any, tiny_model: LocalModel
) -> None:
    rows = [chat(f"what is {i}?", "xy"[i % 2] * (1 + 39 * (i % 2))) for i in range(6)]
    context = EvalContext(dtype="float32", sources={"voc": clean_source(test=rows)})
    tokens = len(load_tokenizer(tiny_model.path)("y" * 40)["input_ids"])
    assert tokens > 8
    fields = {"kind": "classification", "name": "voc", "source": "voc"}
    with pytest.raises(EvaluationError, match=rf"1 of 2 labels .* takes {tokens} tokens") as error:
        evaluate(suite(**fields, max_new_tokens=tokens - 1), tiny_model, context)
    assert error.value.where == "evaluation.suites.voc.max_new_tokens"
    assert evaluate(suite(**fields, max_new_tokens=tokens), tiny_model, context).metrics


def test_answers_that_leave_no_room_for_a_prompt_are_refused_before_any_is_asked(
    temper_home: Path, files: dict[str, str], tiny_model: LocalModel
) -> None:
    asked = suite(
        kind="open_answers", name="open", path=files["open"], max_new_tokens=2048, metrics=["exact"]
    )
    with pytest.raises(EvaluationError, match="leaves no room for a prompt") as error:
        evaluate(asked, tiny_model, EvalContext(dtype="float32"))
    assert error.value.where == "evaluation.suites.open.max_new_tokens"
