"""Self-distillation: a source whose training targets are in the base model's own words.

The method is of Yang et al. 2024 (arXiv:2402.13669). Answers are kept by content as they come, so a
run that was stopped goes on, and other checks ask the model nothing anew.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import Rewrite
from tasks.artifacts import CleanSource, Filter, LocalModel
from tasks.models.api import Answer, Decoding, Engine
from tasks.models.cache import Cached
from tasks.models.factory import open_model
from tasks.progress import Progress
from tasks.self_data.rewriting_checks import RewritingRules, find_fault
from tasks.self_data.targets import Target, build_prompt, find_targets
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.chat import load_tokenizer, render_rows
from tasks.text.rows import ROW_SCHEMA, ChatRow, Message, given

REWRITING_FILE, FILTER = "rewriting.parquet", "rewriting"
TOO_LONG = "makes the row longer than sequence_length"
_SCHEMA = pa.schema(
    [
        pa.field("row_id", pa.string()),
        pa.field("turn", pa.int32()),
        pa.field("target", pa.string()),
        pa.field("rewriting", pa.string()),
        pa.field("rewritten", pa.bool_()),
        pa.field("reason", pa.string()),
    ]
)


class TargetOutcome:
    """What becomes of one target: its rewriting takes its place, or the reason why it stays."""

    def __init__(self, target: Target, made: Answer | None, reason: str | None) -> None:
        self.target, self.made, self.reason = target, made, reason

    @property
    def text(self) -> str:
        """What is trained on."""
        return self.target.text if self.reason or self.made is None else self.made.text.strip()


class RewritingRequest(NamedTuple):
    """A source whose training targets are to be in the base model's own words.

    Attributes:
        clean: The source after quality.
        spec: The source's section ``rewrite``.
        sequence_length: Tokens that no row may exceed, rewritten or not.
        seed: The recipe's.
    """

    clean: CleanSource
    spec: Rewrite
    sequence_length: int
    seed: int


def rewrite_source(
    request: RewritingRequest, model: LocalModel, progress: Progress | None = None
) -> CleanSource:
    """Return the source with its training targets rewritten; dev and test rows stay as they are.

    Rows keep their ids, so that a row can be traced to what was trained on. Beside the splits,
    ``rewriting.parquet`` has each target, what the base made of it, and which of them is used and
    why. The source's filter ``rewriting`` counts them.

    Args:
        request: The source and how it is rewritten.
        model: The base model.
        progress: Called with targets answered and their number.
    """
    clean, spec = request.clean, request.spec
    engine = open_model(model)
    key = stage_key(
        "rewriting",
        {
            "clean": clean.digest,
            "labels": sorted(read_labels(clean)),
            "spec": spec,
            "model": engine.digest,
            "length": request.sequence_length,
            "seed": request.seed,
        },
        __name__,
    )
    folder = home("rewritten", f"{clean.name}-{key[:16]}")
    if (done := find(folder, CleanSource)) is not None:
        return done.model_copy(update={"origin": clean.origin})
    rows: list[ChatRow] = pq.read_table(clean.split("train")).to_pylist()
    verdicts = _judge_targets(rows, request, engine, progress)
    _keep_too_long(rows, verdicts, load_tokenizer(model.path, model.chat), request.sequence_length)
    with building(folder) as aside:
        digest = _write_source(aside, clean, rows, verdicts)
        return commit(
            aside,
            clean.model_copy(
                update={
                    "path": folder,
                    "digest": digest,
                    "filters": (*clean.filters, _make_filter(clean, spec, verdicts)),
                }
            ),
        )


def read_labels(clean: CleanSource) -> frozenset[str]:
    """Return a source's classes; none where its labels are answers that differ from row to row."""
    verdict = json.loads((clean.path / "verdict.json").read_text())
    return frozenset(verdict.get("labels", ()))


def _judge_targets(
    rows: Sequence[ChatRow],
    request: RewritingRequest,
    engine: Engine,
    progress: Progress | None,
) -> list[TargetOutcome]:
    spec = request.spec
    rules = RewritingRules(read_labels(request.clean), spec.template, spec.min_overlap)
    found = find_targets(rows, rules.labels)
    wanted = [t for t in found if t.kept is None]
    decoding = Decoding(
        spec.max_new_tokens, spec.batch_size, spec.temperature, spec.top_p, request.seed
    )
    prompts = [build_prompt(rows[t.row], t, spec.template) for t in wanted]
    made = Cached(engine).answers(prompts, decoding, progress) if prompts else []
    answers = dict(zip(wanted, made, strict=True))
    return [
        TargetOutcome(t, answers.get(t), t.kept or find_fault(t.text, t.label, answers[t], rules))
        for t in found
    ]


def _keep_too_long(
    rows: Sequence[ChatRow], verdicts: Sequence[TargetOutcome], tokenizer: Any, length: int
) -> None:
    """Let the targets of rows stay that their rewritings would make too long to train on."""
    by_row: dict[int, list[TargetOutcome]] = {}
    for verdict in verdicts:
        by_row.setdefault(verdict.target.row, []).append(verdict)
    for place, own in by_row.items():
        used = [v for v in own if v.reason is None]
        if not used:
            continue
        made = render_rows(tokenizer, _replace_targets(rows[place], own))
        if max(len(one.input_ids) for one in made) > length:
            for verdict in used:
                verdict.reason = TOO_LONG


def _replace_targets(row: ChatRow, own: Sequence[TargetOutcome]) -> list[Message]:
    texts = {v.target.turn: v.text for v in own}
    return [
        given({**m, "content": texts.get(i, m["content"])}) for i, m in enumerate(row["messages"])
    ]


def _write_source(
    aside: Path, clean: CleanSource, rows: Sequence[ChatRow], verdicts: Sequence[TargetOutcome]
) -> str:
    """Write the source's files and what became of each target; return the digest of the rows."""
    by_row: dict[int, list[TargetOutcome]] = {}
    for verdict in verdicts:
        by_row.setdefault(verdict.target.row, []).append(verdict)
    train = [
        {**row, "messages": _replace_targets(row, by_row.get(i, ()))} for i, row in enumerate(rows)
    ]
    leave = shutil.ignore_patterns("manifest.json", "train.parquet")
    shutil.copytree(clean.path, aside, dirs_exist_ok=True, ignore=leave)
    pq.write_table(
        pa.Table.from_pylist(train, schema=ROW_SCHEMA), aside / "train.parquet", compression="zstd"
    )
    record = [
        {
            "row_id": rows[v.target.row]["row_id"],
            "turn": v.target.turn,
            "target": v.target.text,
            "rewriting": v.made.text if v.made else None,
            "rewritten": v.reason is None,
            "reason": v.reason,
        }
        for v in verdicts
    ]
    pq.write_table(
        pa.Table.from_pylist(record, schema=_SCHEMA), aside / REWRITING_FILE, compression="zstd"
    )
    state = hashlib.sha256(clean.digest.encode())
    for row in train:
        state.update(json.dumps([row["row_id"], row["messages"]], sort_keys=True).encode())
    return state.hexdigest()


def _make_filter(clean: CleanSource, spec: Rewrite, verdicts: Sequence[TargetOutcome]) -> Filter:
    stayed = Counter(v.reason for v in verdicts if v.reason is not None)
    used = len(verdicts) - stayed.total()
    share = used / len(verdicts) if verdicts else 0.0
    told = {
        "targets": len(verdicts),
        "rewritten": used,
        "share": round(share, 6),
        "stayed": dict(sorted(stayed.items())),
        **spec.model_dump(),
    }
    return Filter(name=FILTER, rows_in=clean.rows_out, rows_out=clean.rows_out, settings=told)
