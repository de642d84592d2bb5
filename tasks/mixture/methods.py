"""What a training row is, by method: answers, plain text, pairs of answers, or questions."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from configs.training import Method, Overflow
from tasks.errors import DataError
from tasks.text.chat import IGNORED, Rendered, Tokenizer, prompt_ids, render
from tasks.text.rows import ChatRow

Record = dict[str, Any]
_KINDS = {"rejected": "a pair (chosen and rejected)", "reference": "a question to be sampled"}
_TAKES: dict[Method, tuple[str | None, str]] = {
    "sft": (None, "supervised fine-tuning learns from answers alone"),
    "cpt": (None, "continued pre-training learns from texts alone"),
    "dpo": ("rejected", "preference optimisation learns from pairs alone"),
    "rft": ("reference", "reinforcement fine-tuning learns from questions to be sampled alone"),
}


class How(NamedTuple):
    """How chat rows become training rows.

    Attributes:
        method: The training method.
        overlong: What becomes of rows over the sequence length.
    """

    method: Method = "sft"
    overlong: Overflow = "drop"


SFT = How()


def columns_of(method: Method) -> tuple[str, ...]:
    """Return the lists of token ids a row of that method has beside ``input_ids`` and ``labels``.

    ``rejected_ids`` and ``rejected_labels`` are the same prompt with the worse answer;
    ``reference`` is the JSON text that rewards are given.
    """
    return {"dpo": ("rejected_ids", "rejected_labels"), "rft": ("reference",)}.get(method, ())


def records(tokenizer: Tokenizer, row: ChatRow, how: How) -> list[Record]:
    """Return a chat row as the training rows it makes before any is too long: one.

    ``supervised_tokens`` counts tokens that carry loss; of a question, none is there yet, and it
    is 1 so that its source can be drawn by any unit.

    Raises:
        DataError: The row is of another method's kind, or the template can't render it.
    """
    check_kind(row, how.method)
    match how.method:
        case "dpo":
            return [_pair(tokenizer, row)]
        case "rft":
            return [_question(tokenizer, row)]
        case "cpt":
            whole = render(tokenizer, row["messages"], row.get("tools"))
            return [_record(Rendered(whole.input_ids, list(whole.input_ids)))]
    return [_record(render(tokenizer, row["messages"], row.get("tools")))]


def check_kind(row: ChatRow, method: Method) -> None:
    """Refuse a row that the method can't learn from.

    Raises:
        DataError: It is a pair where answers are wanted, an answer where pairs are, and so on.
    """
    wanted, why = _TAKES[method]
    found = next((name for name in _KINDS if row.get(name) is not None), None)
    if found == wanted:
        return
    what = _KINDS[found] if found else "an answer (neither a pair nor a question)"
    raise DataError(
        f"the row is {what}, and {why}.",
        where=row["origin"],
        fix="train its source by the method it was made for, or give a source that fits "
        f"method {method}.",
    )


def fitted(record: Record, length: int, how: How, where: str) -> list[Record]:
    """Return the record cut to ``length`` tokens as the policy says; none when it is dropped.

    Raises:
        DataError: It is longer, and the policy is ``error``.
    """
    longest = max(len(record["input_ids"]), len(record.get("rejected_ids", ())))
    if longest <= length:
        return [record]
    if how.overlong == "error":
        raise DataError(
            f"the row has {longest:,} tokens, and training.sequence_length is {length:,}.",
            where=where,
            fix="raise sequence_length, or set training.overflow to drop or split.",
        )
    return list(_parts(record, length)) if how.overlong == "split" else []


def _parts(record: Record, length: int) -> Iterator[Record]:
    for start in range(0, len(record["input_ids"]), length):
        ids = record["input_ids"][start : start + length]
        # The first token of a part has nothing before it to be predicted from.
        labels = [IGNORED, *record["labels"][start + 1 : start + length]]
        if start == 0:
            labels[0] = record["labels"][0]
        yield _record(Rendered(ids, labels))


def _record(made: Rendered) -> Record:
    return {
        "input_ids": made.input_ids,
        "labels": made.labels,
        "tokens": len(made.input_ids),
        "supervised_tokens": made.supervised,
    }


def _pair(tokenizer: Tokenizer, row: ChatRow) -> Record:
    prompt, rejected = row["messages"][:-1], row.get("rejected")
    assert rejected is not None
    chosen, worse = (
        _last_answer(render(tokenizer, [*prompt, answer], row.get("tools")))
        for answer in (row["messages"][-1], rejected)
    )
    return {
        "input_ids": chosen.input_ids,
        "labels": chosen.labels,
        "rejected_ids": worse.input_ids,
        "rejected_labels": worse.labels,
        "tokens": len(chosen.input_ids) + len(worse.input_ids),
        # A pair without an answer on one side teaches nothing.
        "supervised_tokens": chosen.supervised + worse.supervised
        if chosen.supervised and worse.supervised
        else 0,
    }


def _last_answer(made: Rendered) -> Rendered:
    """Return the row with its last answer supervised alone: earlier turns are the prompt's."""
    end = len(made.labels)
    while end and made.labels[end - 1] == IGNORED:
        end -= 1
    start = end
    while start and made.labels[start - 1] != IGNORED:
        start -= 1
    labels = [x if start <= i < end else IGNORED for i, x in enumerate(made.labels)]
    return Rendered(made.input_ids, labels)


def _question(tokenizer: Tokenizer, row: ChatRow) -> Record:
    ids = prompt_ids(tokenizer, row["messages"], row.get("tools"))
    return {
        "input_ids": ids,
        "labels": [IGNORED] * len(ids),
        "tokens": len(ids),
        "supervised_tokens": 1,
        "reference": row.get("reference") or "null",
    }
