"""lm-evaluation-harness on the very items that our suites ask, from files of this machine."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from configs.suites.mmlu import MmluSuite
from tasks.evaluation.suites.mmlu import MmluQuestion, MmluQuestions, load_questions

BATCHES = (1, 4, 8, 16, 32)
"""Batch sizes tried for the harness; the quickest on a part of the items is used."""


def questions(items: int, subjects: Sequence[str] | None = None, seed: int = 17) -> MmluQuestions:
    """Return ``items`` questions a subject, with five examples each."""
    suite = MmluSuite(
        kind="mmlu",
        name="mmlu",
        shots=5,
        cloze=False,
        items_per_subject=items,
        subjects=tuple(subjects) if subjects else None,
    )
    return load_questions(suite, "test", seed)


def hflm(model: Path, dtype: str, batch_size: int = 8) -> Any:
    """Return the harness's own model of a folder."""
    from lm_eval.models.huggingface import HFLM

    from tasks.models.local.loading import device

    return HFLM(pretrained=str(model), device=device(), dtype=dtype, batch_size=batch_size)


def mmlu_tasks(folder: Path, found: MmluQuestions) -> dict[str, Any]:
    """Return the harness's MMLU tasks, one a subject, over these questions and examples."""
    import lm_eval

    shipped = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default"
    template = yaml.safe_load((shipped / "_default_template_yaml").read_text())
    names = []
    for subject, examples in found.examples.items():
        asked = [q for q in found.asked if q.subject == subject]
        files = {"test": folder / f"{subject}.test.jsonl", "dev": folder / f"{subject}.dev.jsonl"}
        for file, rows in zip(files.values(), (asked, examples), strict=True):
            _write(file, (_record(q) for q in rows))
        names.append(f"local_{subject}")
        words = subject.replace("_", " ")
        _task(
            folder / f"{subject}.yaml",
            template
            | {
                "task": names[-1],
                "dataset_path": "json",
                "num_fewshot": 5,
                "dataset_kwargs": {
                    "data_files": {k: str(f) for k, f in files.items()},
                    "cache_dir": str(folder / "cache"),
                },
                "description": "The following are multiple choice questions (with answers) about "
                f"{words}.\n\n",
            },
        )
    return _loaded(folder, names)


def hellaswag_tasks(folder: Path, docs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the harness's HellaSwag over these records."""
    import lm_eval

    shipped = Path(lm_eval.__file__).parent / "tasks" / "hellaswag" / "hellaswag.yaml"
    _write(folder / "validation.jsonl", docs)
    _task(
        folder / "local.yaml",
        {
            "include": str(shipped),
            "task": "local_hellaswag",
            "dataset_path": "json",
            "dataset_kwargs": {
                "data_files": {"validation": str(folder / "validation.jsonl")},
                "cache_dir": str(folder / "cache"),
            },
            "training_split": None,
            "num_fewshot": 0,
        },
    )
    return _loaded(folder, ["local_hellaswag"])


def evaluated(model: Any, tasks: Mapping[str, Any], *, samples: bool = False) -> dict[str, Any]:
    """Have the harness build its requests, score them and judge; return its results."""
    from lm_eval.evaluator import evaluate

    found = evaluate(lm=model, task_dict=dict(tasks), bootstrap_iters=0, log_samples=samples)
    assert found is not None
    return dict(found)


def scores(model: Any, tasks: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return each option's log-probability, by the prompt it follows."""
    samples = evaluated(model, tasks, samples=True)["samples"]
    return {
        sample["arguments"][0][0]: [float(logprob) for logprob, _ in sample["filtered_resps"]]
        for of_task in samples.values()
        for sample in of_task
    }


def best_batch(model: Any, tasks: Mapping[str, Any]) -> int:
    """Set the batch size with which the harness is quickest on these tasks, and return it."""
    seconds = {}
    for size in BATCHES:
        model.batch_size_per_gpu = size
        started = time.perf_counter()
        evaluated(model, tasks)
        seconds[size] = time.perf_counter() - started
    best = min(seconds, key=lambda size: seconds[size])
    model.batch_size_per_gpu = best
    return best


def _record(question: MmluQuestion) -> dict[str, Any]:
    return {
        "question": question.question,
        "subject": question.subject,
        "choices": list(question.choices),
        "answer": question.answer,
    }


def _write(file: Path, records: Iterable[Mapping[str, Any]]) -> None:
    file.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")


def _task(file: Path, task: Mapping[str, Any]) -> None:
    file.write_text(yaml.safe_dump(dict(task)), encoding="utf-8")


def _loaded(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return dict(manager.load(list(names))["tasks"])
