from pathlib import Path

import pytest

from configs.suites.mmlu import MmluSuite
from tasks.artifacts import LocalModel
from tasks.evaluation.items import EvalContext
from tasks.evaluation.task import evaluate_suite


def test_the_shell_does_what_the_function_does(
    temper_home: Path, mmlu_folder: Path, tiny_model: LocalModel
) -> None:
    pytest.importorskip("torch")
    suite = MmluSuite(kind="mmlu", name="m", path=str(mmlu_folder), items_per_subject=2)
    found = evaluate_suite.fn(suite, tiny_model, EvalContext(dtype="float32"))
    assert found.metrics["accuracy"].n == 4
    assert found.items.is_file()
