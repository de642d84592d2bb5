"""Rehearsal: the base model's own answers to the shipped prompts, as a source of general rows."""

import math
import re
from typing import Any, Literal, NamedTuple

from configs.sources import RehearsalSource
from tasks.artifacts import LocalModel, Origin, Snapshot
from tasks.errors import SourceError
from tasks.files.snapshot import SnapshotWriter
from tasks.progress import Progress
from tasks.self_data.rehearsal_sampling import (
    RehearsalAnswer,
    SampledAnswers,
    ShippedPrompt,
    encode_prompt,
    load_prompts,
)
from tasks.storage import building, commit, find, home, stage_key
from tasks.text.chat import load_tokenizer, render_rows
from tasks.text.normal import normal
from tasks.text.reasoning import has_unclosed_reasoning, split_reasoning
from tasks.text.rows import ChatRow, Message, row_id
from tasks.text.template import Tokenizer

SLACK = 1.15
"""Answers made for each one needed: some are lost to quality, overlap and duplicates later."""

TYPICAL_FILL = 0.7
"""Share of ``max_new_tokens`` that an answer fills; for estimates alone."""

Unit = Literal["supervised_tokens", "tokens", "rows"]


class RehearsalRequest(NamedTuple):
    """Answers to shipped prompts that are to be made.

    Attributes:
        source: The section.
        need: Quota of the mixture, in ``unit``.
        unit: The mixture's; supervised tokens are those of the answers, end of turn included.
        seed: The recipe's.
    """

    source: RehearsalSource
    need: int
    unit: Unit
    seed: int


def estimate_rehearsal(
    source: RehearsalSource, model: LocalModel | None, need: int, unit: Unit
) -> dict[str, Any]:
    """Return what ``make_rehearsal`` would have to make, as an estimate; nothing is generated.

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
    prompt_tokens = _mean_prompt_tokens(prompts, model)
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


def _mean_prompt_tokens(prompts: list[ShippedPrompt], model: LocalModel | None) -> float:
    if model is None:
        return sum(len(p.prompt) for p in prompts) / len(prompts) / 4
    tokenizer = load_tokenizer(model.path, model.chat)
    return sum(len(encode_prompt(tokenizer, p)) for p in prompts) / len(prompts)


def make_rehearsal(
    request: RehearsalRequest, model: LocalModel, progress: Progress | None = None
) -> Snapshot:
    """Return the base model's answers as a snapshot, as many as the quota needs plus 15 %.

    Each round samples one answer to every prompt, in a new order, ``batch_size`` at a time. Every
    batch is kept under a key without the quota: a larger quota goes on where a smaller one ended,
    and so does a run that was stopped. After ``max_samples`` rounds there is what there is.

    Args:
        request: The source's section, with its quota.
        model: The base model.
        progress: Called with what was accepted and what is to be, in the quota's unit.

    Raises:
        SourceError: There are no prompts, or no answer can be used.
    """
    source = request.source
    answers = SampledAnswers(source, model, load_prompts(source.category), request.seed)
    key = stage_key(
        "rehearsed",
        {
            "answers": answers.key,
            "need": request.need,
            "unit": request.unit,
            "max_samples": source.max_samples,
            "role": source.role,
        },
        __name__,
    )
    folder = home("snapshots", f"{source.name}-{key[:12]}")
    origin = Origin(
        name=source.name,
        role=source.role,
        category=source.category,
        licence=source.licence,
        uri=f"rehearsal:{model.name}",
        revision=model.digest,
    )
    known = find(folder, Snapshot)
    if known is not None:
        return known.model_copy(update={"origin": origin})
    with building(folder) as aside:
        with SnapshotWriter(aside) as out:
            _fill_quota(out, answers, request, progress)
        if not out.rows:
            raise SourceError(
                "no answer of the model can be used.",
                where=source.name,
                fix="raise max_new_tokens, or use an instruction-tuned model.",
            )
        receipt = Snapshot(
            path=folder, digest=out.digest, origin=origin, rows=out.rows, rejected=out.rejected
        )
        return commit(aside, receipt)


def _fill_quota(
    out: SnapshotWriter,
    answers: SampledAnswers,
    request: RehearsalRequest,
    progress: Progress | None,
) -> None:
    done, target = 0, math.ceil(SLACK * request.need)
    seen: set[tuple[str, str]] = set()
    for chunk in answers.read_chunks():
        for answer in chunk:
            row = _make_row(answer, seen)
            if isinstance(row, str):
                out.reject(answer.origin, answer.text, row)
                continue
            out.write(row)
            done += _measure(answers.tokenizer, row["messages"], request.unit)
        if progress is not None:
            progress(min(done, target), target)
        if done >= target:
            return


def _make_row(answer: RehearsalAnswer, seen: set[tuple[str, str]]) -> ChatRow | str:
    """Return the answer as a row, or why it is none."""
    if has_unclosed_reasoning(answer.text):
        # Its beginning would teach the model to answer without its end.
        return "the answer was cut inside its thought: raise max_new_tokens"
    thought, said = split_reasoning(answer.text)
    reason = find_flaw(said, answer.truncated)
    if reason is not None:
        return reason
    text = (cut_to_sentence(said) if answer.truncated else said.strip()) or ""
    if (answer.prompt.id, normal(text)) in seen:
        return "the same answer to this prompt as before"
    seen.add((answer.prompt.id, normal(text)))
    answered = Message(role="assistant", content=text)
    if thought:
        answered["reasoning"] = thought
    messages = [
        Message(role="user", content=answer.prompt.prompt),
        answered,
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


def _measure(tokenizer: Tokenizer, messages: list[Message], unit: Unit) -> int:
    if unit == "rows":
        return 1
    made = render_rows(tokenizer, messages)
    return sum(r.supervised if unit == "supervised_tokens" else len(r.input_ids) for r in made)


_SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]*_]*(?=\s|$)")
_BARE_MARKER = re.compile(r"(\d+[.)]|[-*•#]+|\w[.)])")
_FENCE = "```"


def find_flaw(text: str, truncated: bool) -> str | None:
    """Return why an answer can't be used; None when it can."""
    if not text.strip():
        return "the answer is empty"
    if truncated and cut_to_sentence(text) is None:
        return "the answer was cut before its first sentence or line ended"
    return None


def cut_to_sentence(text: str) -> str | None:
    """Return a cut answer up to its last whole sentence or line; None when there is none.

    Trained on as it was cut, it would teach the model to stop in the middle of a sentence. A code
    block that was not closed goes as a whole, and so does what only leads to something: a line
    that ends in a colon, or a list's marker without its text.
    """
    pieces = text.split(_FENCE)
    if len(pieces) % 2 == 0:
        # What stands before the block is whole by itself: the block began on a line of its own.
        text = _FENCE.join(pieces[:-1]).rstrip() + "\n"
    for end in _find_ends(text):
        part = text[:end].strip()
        last = part.rsplit("\n", 1)[-1].strip()
        if part and not part.endswith((":", ",")) and not _BARE_MARKER.fullmatch(last):
            return part
    return None


def _find_ends(text: str) -> list[int]:
    ends = {found.end() for found in _SENTENCE_END.finditer(text)}
    ends |= {place for place, sign in enumerate(text) if sign == "\n"}
    return sorted(ends, reverse=True)
