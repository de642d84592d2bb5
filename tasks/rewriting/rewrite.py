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
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from configs.sources import Rewrite
from tasks.artifacts import CleanSource, Filter, LocalModel
from tasks.models.api import Answer, Decoding, Engine
from tasks.models.cache import Cached
from tasks.models.factory import open_model
from tasks.progress import Progress
from tasks.rewriting.checks import Rules, fault
from tasks.rewriting.targets import Target, asked, targets_of
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.chat import load_tokenizer, render
from tasks.text.rows import ROW_SCHEMA, ChatRow, Message, given

FILE, FILTER = "rewriting.parquet", "rewriting"
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


class Verdict:
    """What becomes of one target: its rewriting takes its place, or the reason why it stays."""

    def __init__(self, target: Target, made: Answer | None, reason: str | None) -> None:
        self.target, self.made, self.reason = target, made, reason

    @property
    def text(self) -> str:
        """What is trained on."""
        return self.target.text if self.reason or self.made is None else self.made.text.strip()


def rewritten(
    clean: CleanSource,
    spec: Rewrite,
    model: LocalModel,
    settings: tuple[int, int],
    progress: Progress | None = None,
) -> CleanSource:
    """Return the source with its training targets rewritten; dev and test rows stay as they are.

    Rows keep their ids, so that a row can be traced to what was trained on. Beside the splits,
    ``rewriting.parquet`` has each target, what the base made of it, and which of them is used and
    why. The source's filter ``rewriting`` counts them.

    Args:
        clean: The source after quality.
        spec: The source's section ``rewrite``.
        model: The base model.
        settings: ``sequence_length`` in tokens, which a rewriting may not exceed, and the seed.
        progress: Called with targets answered and their number.
    """
    length, seed = settings
    engine = open_model(model)
    key = stage_key(
        "rewriting",
        {
            "clean": clean.digest,
            "labels": sorted(labels_of(clean)),
            "spec": spec,
            "model": engine.digest,
            "length": length,
            "seed": seed,
        },
        __name__,
    )
    folder = home("rewritten", f"{clean.name}-{key[:16]}")
    if (done := find(folder, CleanSource)) is not None:
        named = ("role", "category", "licence", "uri", "revision")
        return done.model_copy(update={name: getattr(clean, name) for name in named})
    rows: list[ChatRow] = pq.read_table(clean.split("train")).to_pylist()
    verdicts = _verdicts(rows, clean, (spec, seed), engine, progress)
    _fit(rows, verdicts, load_tokenizer(model.path), length)
    with building(folder) as aside:
        digest = _write(aside, clean, rows, verdicts)
        return commit(
            aside,
            clean.model_copy(
                update={
                    "path": folder,
                    "digest": digest,
                    "filters": (*clean.filters, _filter(clean, spec, verdicts)),
                }
            ),
        )


def labels_of(clean: CleanSource) -> frozenset[str]:
    """Return a source's classes; none where its labels are answers that differ from row to row."""
    verdict = json.loads((clean.path / "verdict.json").read_text())
    return frozenset(verdict.get("labels", ()))


def _verdicts(
    rows: Sequence[ChatRow],
    clean: CleanSource,
    settings: tuple[Rewrite, int],
    engine: Engine,
    progress: Progress | None,
) -> list[Verdict]:
    spec, seed = settings
    rules = Rules(labels_of(clean), spec.template, spec.min_overlap)
    found = targets_of(rows, rules.labels)
    wanted = [t for t in found if t.kept is None]
    decoding = Decoding(spec.max_new_tokens, spec.batch_size, spec.temperature, spec.top_p, seed)
    prompts = [asked(rows[t.row], t, spec.template) for t in wanted]
    made = Cached(engine).answers(prompts, decoding, progress) if prompts else []
    answers = dict(zip(wanted, made, strict=True))
    return [
        Verdict(t, answers.get(t), t.kept or fault(t.text, t.label, answers[t], rules))
        for t in found
    ]


def _fit(rows: Sequence[ChatRow], verdicts: Sequence[Verdict], tokenizer: Any, length: int) -> None:
    """Let the targets of rows stay that their rewritings would make too long to train on."""
    by_row: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        by_row.setdefault(verdict.target.row, []).append(verdict)
    for place, own in by_row.items():
        used = [v for v in own if v.reason is None]
        if used and len(render(tokenizer, _messages(rows[place], own)).input_ids) > length:
            for verdict in used:
                verdict.reason = TOO_LONG


def _messages(row: ChatRow, own: Sequence[Verdict]) -> list[Message]:
    texts = {v.target.turn: v.text for v in own}
    return [
        given({**m, "content": texts.get(i, m["content"])}) for i, m in enumerate(row["messages"])
    ]


def _write(
    aside: Path, clean: CleanSource, rows: Sequence[ChatRow], verdicts: Sequence[Verdict]
) -> str:
    """Write the source's files and what became of each target; return the digest of the rows."""
    by_row: dict[int, list[Verdict]] = {}
    for verdict in verdicts:
        by_row.setdefault(verdict.target.row, []).append(verdict)
    train = [{**row, "messages": _messages(row, by_row.get(i, ()))} for i, row in enumerate(rows)]
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
    pq.write_table(pa.Table.from_pylist(record, schema=_SCHEMA), aside / FILE, compression="zstd")
    state = hashlib.sha256(clean.digest.encode())
    for row in train:
        state.update(json.dumps([row["row_id"], row["messages"]], sort_keys=True).encode())
    return state.hexdigest()


def _filter(clean: CleanSource, spec: Rewrite, verdicts: Sequence[Verdict]) -> Filter:
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
