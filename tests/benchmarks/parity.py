"""MMLU by lm-evaluation-harness itself, kept so that ours can be compared item by item.

``python tests/benchmarks/parity.py MODEL OUT`` runs the harness's own ``mmlu`` tasks (five shots,
float32) over 50 questions of each subject and writes its log-probabilities as Parquet. It takes
an hour or two on two cores, keeps what is done beside OUT, and goes on from there.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
ITEMS, SHOTS, SEED, BATCH = 50, 5, 17, 4


def questions() -> Any:
    """Return the questions asked, as the suite chooses them."""
    from configs.evaluation import MmluSuite
    from tasks.evaluation.mmlu_data import load_questions

    suite = MmluSuite(kind="mmlu", name="mmlu", shots=SHOTS, items_per_subject=ITEMS)
    return load_questions(suite, "test", SEED)


def _task(folder: Path, subject: str, found: Any) -> Path:
    """Write a subject's files and its task: the harness's own, with the files for its dataset."""
    import lm_eval

    own = Path(lm_eval.__file__).parent / "tasks" / "mmlu" / "default"
    asked = [q for q in found.asked if q.subject == subject]
    for split, rows in (("test", asked), ("dev", found.examples[subject])):
        lines = [json.dumps(q._asdict()) for q in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    template = (own / "_default_template_yaml").read_text()
    files = {split: str(folder / f"{split}.jsonl") for split in ("test", "dev")}
    source = f"dataset_path: json\ndataset_kwargs: {json.dumps({'data_files': files})}"
    (folder / "_default_template_yaml").write_text(template.replace(
        "dataset_path: cais/mmlu", source))  # fmt: skip
    lines = (own / f"mmlu_{subject}.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith('"dataset_name"')]
    (folder / f"mmlu_{subject}.yaml").write_text("\n".join(kept) + "\n")
    return folder


def harness(model: Any, subject: str, found: Any) -> list[list[float]]:
    """Return the log-probabilities of the four letters for each question of a subject."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as name:
        folder = _task(Path(name), subject, found)
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        done = simple_evaluate(
            model=model, tasks=[f"mmlu_{subject}"], num_fewshot=SHOTS, task_manager=manager,
            log_samples=True, bootstrap_iters=0)  # fmt: skip
    samples = sorted(done["samples"][f"mmlu_{subject}"], key=lambda s: s["doc_id"])
    return [[float(option[0][0]) for option in sample["resps"]] for sample in samples]


def main() -> int:
    """Run every subject that isn't there yet, then write the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from lm_eval.models.huggingface import HFLM

    from tasks.inference.identity import weights_digest

    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(os.cpu_count() or 1)
    found = questions()
    model: Any = None
    for subject in sorted(found.examples):
        part = parts / f"{subject}.json"
        if not part.is_file():
            model = model or HFLM(pretrained=str(folder), device="cpu", dtype="float32",
                                  batch_size=BATCH)  # fmt: skip
            answers = harness(model, subject, found)
            part.with_suffix(".aside").write_text(json.dumps(answers))
            part.with_suffix(".aside").rename(part)
    rows = [
        row for s in sorted(found.examples) for row in json.loads((parts / f"{s}.json").read_text())
    ]
    table = pa.table({"item_id": found.ids, "logprobs": pa.array(rows, pa.list_(pa.float32()))})
    said = {"weights": weights_digest(folder), "harness": "lm-eval 0.4.13", "shots": str(SHOTS)}
    pq.write_table(table.replace_schema_metadata(said), out, compression="zstd")
    return 0


if __name__ == "__main__":
    sys.exit(main())
