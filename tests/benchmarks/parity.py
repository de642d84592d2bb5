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

import harness_side as harness

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
ITEMS, SHOTS, BATCH = 50, 5, 1


def answers(model: Any, subject: str) -> list[list[float]]:
    """Return the log-probabilities of the four letters for each question of a subject."""
    from tasks.evaluation.suites.mmlu import letters_prompt

    found = harness.questions(ITEMS, [subject])
    with tempfile.TemporaryDirectory() as name:
        by_prompt = harness.scores(model, harness.mmlu_tasks(Path(name), found))
    return [by_prompt[letters_prompt(q, found.examples[subject])] for q in found.asked]


def main() -> int:
    """Run every subject that isn't there yet, then write the table."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch

    from tasks.models.identity import weights_digest

    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(os.cpu_count() or 1)
    found = harness.questions(ITEMS)
    model: Any = None
    for subject in sorted(found.examples):
        part = parts / f"{subject}.json"
        if not part.is_file():
            model = model or harness.hflm(folder, "float32", BATCH)
            part.with_suffix(".aside").write_text(json.dumps(answers(model, subject)))
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
