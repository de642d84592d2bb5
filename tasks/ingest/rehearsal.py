"""Rehearsal: the base model's own answers to the shipped prompts, as a source of general rows."""

import math
from typing import Any, Literal, NamedTuple

from configs.sources import RehearsalSource
from tasks.artifacts import LocalModel, Snapshot
from tasks.errors import SourceError
from tasks.ingest.rehearsal_answers import complete_part, refusal
from tasks.ingest.rehearsal_sampling import Answer, Prompt, SampledAnswers, asked_ids, load_prompts
from tasks.ingest.snapshot import SnapshotWriter
from tasks.progress import Progress
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.chat import Tokenizer, load_tokenizer, render
from tasks.text.normal import normal
from tasks.text.rows import ChatRow, Message, row_id

SLACK = 1.15
"""Answers made for each one needed: some are lost to quality, overlap and duplicates later."""

TYPICAL_FILL = 0.7
"""Share of ``max_new_tokens`` that an answer fills; for estimates alone."""

Unit = Literal["supervised_tokens", "tokens", "rows"]


def rehearsal_plan(
    source: RehearsalSource, model: LocalModel | None, need: int, unit: Unit
) -> dict[str, Any]:
    """Return what ``rehearse`` would have to make, as an estimate; nothing is generated.

    Args:
        source: The section.
        model: Whose tokenizer counts the prompts' tokens; None takes four letters a token.
        need: Quota of the mixture, in ``unit``.
        unit: The mixture's.

    Returns:
        ``prompts`` there are, ``prompt_tokens`` (mean), ``answers`` to make, ``samples`` a prompt,
        ``generated_tokens``, ``most`` (upper bound in ``unit``) and ``enough`` (whether that is
        within reach).
    """
    prompts = load_prompts(source.category)
    answer = max(1.0, TYPICAL_FILL * source.max_new_tokens)
    prompt_tokens = _prompt_tokens(prompts, model)
    each = {"rows": 1.0, "supervised_tokens": answer, "tokens": answer + prompt_tokens}[unit]
    answers = math.ceil(SLACK * need / each)
    samples = math.ceil(answers / len(prompts))
    return {
        "prompts": len(prompts),
        "prompt_tokens": prompt_tokens,
        "answers": answers,
        "samples": samples,
        "generated_tokens": round(answers * answer),
        "most": round(each * len(prompts) * source.max_samples),
        "enough": samples <= source.max_samples,
    }


def _prompt_tokens(prompts: list[Prompt], model: LocalModel | None) -> float:
    if model is None:
        return sum(len(p.prompt) for p in prompts) / len(prompts) / 4
    tokenizer = load_tokenizer(model.path)
    return sum(len(asked_ids(tokenizer, p)) for p in prompts) / len(prompts)


def rehearse(
    source: RehearsalSource,
    model: LocalModel,
    need: int,
    unit: Unit,
    seed: int,
    *,
    progress: Progress | None = None,
) -> Snapshot:
    """Return the base model's answers as a snapshot, as many as the quota needs plus 15 %.

    Each round samples one answer to every prompt, in a new order, ``batch_size`` at a time. Every
    batch is kept under a key without the quota: a larger quota goes on where a smaller one ended,
    and so does a run that was stopped. After ``max_samples`` rounds there is what there is.

    Args:
        source: The section.
        model: The base model.
        need: Quota of the mixture, in ``unit``.
        unit: The mixture's; supervised tokens are those of the answers, end of turn included.
        seed: The recipe's.
        progress: Called with what was accepted and what is to be, in ``unit``.

    Raises:
        SourceError: There are no prompts, or no answer can be used.
    """
    prompts = load_prompts(source.category)
    answers = SampledAnswers(source, model, prompts, seed)
    key = stage_key(
        "rehearsed",
        {
            "answers": answers.key,
            "need": need,
            "unit": unit,
            "max_samples": source.max_samples,
            "role": source.role,
        },
        __name__,
    )
    folder = home("snapshots", f"{source.name}-{key[:12]}")
    named = {
        "name": source.name,
        "role": source.role,
        "category": source.category,
        "licence": source.licence,
        "uri": f"rehearsal:{model.name}",
    }
    known = find(folder, Snapshot)
    if known is not None:
        return known.model_copy(update=named)
    with building(folder) as aside:
        with SnapshotWriter(aside) as out:
            _fill(out, answers, _Quota(math.ceil(SLACK * need), unit), progress)
        if not out.rows:
            raise SourceError(
                "no answer of the model can be used.",
                where=source.name,
                fix="raise max_new_tokens, or use an instruction-tuned model.",
            )
        return commit(
            aside,
            Snapshot(
                path=folder,
                digest=out.digest,
                revision=model.digest,
                rows=out.rows,
                rejected=out.rejected,
                **named,
            ),
        )


class _Quota(NamedTuple):
    target: int
    unit: Unit


def _fill(
    out: SnapshotWriter, answers: SampledAnswers, quota: _Quota, progress: Progress | None
) -> None:
    got = 0
    seen: set[tuple[str, str]] = set()
    for chunk in answers.chunks():
        for answer in chunk:
            row = _row(answer, seen)
            if isinstance(row, str):
                out.reject(answer.origin, answer.text, row)
                continue
            out.write(row)
            got += _size(answers.tokenizer, row["messages"], quota.unit)
        if progress is not None:
            progress(min(got, quota.target), quota.target)
        if got >= quota.target:
            return


def _row(answer: Answer, seen: set[tuple[str, str]]) -> ChatRow | str:
    """Return the answer as a row, or why it is none."""
    reason = refusal(answer.text, answer.truncated)
    if reason is not None:
        return reason
    text = (complete_part(answer.text) if answer.truncated else answer.text.strip()) or ""
    if (answer.prompt.id, normal(text)) in seen:
        return "the same answer to this prompt as before"
    seen.add((answer.prompt.id, normal(text)))
    messages = [
        Message(role="user", content=answer.prompt.prompt),
        Message(role="assistant", content=text),
    ]
    # Answers to one prompt are a group, so that no split has some of them here and some there.
    return {
        "row_id": row_id(messages),
        "messages": messages,
        "label": None,
        "group": answer.prompt.id,
        "split": None,
        "origin": answer.origin,
    }


def _size(tokenizer: Tokenizer, messages: list[Message], unit: Unit) -> int:
    if unit == "rows":
        return 1
    rendered = render(tokenizer, messages)
    return rendered.supervised if unit == "supervised_tokens" else len(rendered.input_ids)
