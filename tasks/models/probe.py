"""A model's tokenizer and chat template tried: what rows become with it, before anything is made.

Kept with the model by its digests, so that it is asked once. What only the weights can tell is
added by whoever has them (``checks``).
"""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from tasks.artifacts import LocalModel
from tasks.errors import RenderingError, SetupError
from tasks.models.identity import config_digest, embedding_rows, stopping
from tasks.storage import home, stage_key, write_text
from tasks.text.chat import load_tokenizer, render_rows
from tasks.text.ending import EndOfTurn, end_of_turn
from tasks.text.masks import Rendered
from tasks.text.rows import ChatRow, Message
from tasks.text.special import encode_texts
from tasks.text.template import Tokenizer

State = Literal["ok", "warn", "refused"]

_TOOLS = '[{"name":"weather","description":"The weather","parameters":{"type":"object"}}]'
_CALL = '[{"id":"call_1","name":"weather","arguments":{"city":"Ulm"}}]'
_ASKED, _SAID = Message(role="user", content="Hi there."), Message(role="assistant", content="Yes.")
SHAPES: dict[str, tuple[list[Message], str | None]] = {
    "single turn": ([_ASKED, _SAID], None),
    "multi-turn": ([_ASKED, _SAID, Message(role="user", content="And now?"), _SAID], None),
    "system": ([Message(role="system", content="Be brief."), _ASKED, _SAID], None),
    "tools": (
        [
            Message(role="user", content="The weather in Ulm?"),
            Message(role="assistant", content="", tool_calls=_CALL),
            Message(role="tool", content="sunny", tool_call_id="call_1"),
            _SAID,
        ],
        _TOOLS,
    ),
    "reasoning": (
        [_ASKED, Message(role="assistant", content="Yes.", reasoning="A greeting.")],
        None,
    ),
}


class ProbeFinding(BaseModel):
    """One thing that was tried of a model.

    Attributes:
        name: What was tried.
        state: ``ok``, ``warn`` (it works, and is to be known), or ``refused``.
        says: What was found.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    state: State
    says: str


class Probe(BaseModel):
    """All that was tried of a model."""

    model_config = ConfigDict(frozen=True)

    model: str
    findings: tuple[ProbeFinding, ...]


class ProbedRow(NamedTuple):
    """A row as a model would be trained on it.

    Attributes:
        shape: What is in it: ``single turn``, ``multi-turn``, ``system``, ``tools``, ...
        origin: File and row.
        made: The training rows; none where it can't be one.
        refused: Why not; empty otherwise.
    """

    shape: str
    origin: str
    made: list[Rendered]
    refused: str = ""


Check = Callable[[LocalModel], Sequence[ProbeFinding]]


def probe_model(model: LocalModel, checks: Sequence[Check] = ()) -> Probe:
    """Return what was found of a model's tokenizer and chat template, now or before.

    Args:
        model: Its tokenizer is enough.
        checks: What else is tried, of the weights for example; each is part of what is kept.
    """
    key = stage_key(
        "probe",
        {
            "tokenizer": model.tokenizer_digest,
            "config": config_digest(model.path),
            "stopping": stopping(model.path),
            "weights": model.digest if checks else "",
            "checks": [f"{check.__module__}.{check.__qualname__}" for check in checks],
        },
        __name__,
    )
    file = home("probes", f"{key[:32]}.json")
    if file.is_file():
        known = Probe.model_validate_json(file.read_text(encoding="utf-8"))
        return known.model_copy(update={"model": model.name})
    tokenizer = load_tokenizer(model.path, model.chat)
    found = [*_probe_tokenizer(model, tokenizer), *_probe_shapes(model, tokenizer)]
    for check in checks:
        found += check(model)
    made = Probe(model=model.name, findings=tuple(found))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, made.model_dump_json())
    return made


def refuse_unfit(model: LocalModel) -> None:
    """Raise where a tokenizer makes ids for which the model has no row.

    Raises:
        SetupError: It is so.
    """
    told = _find_missing_rows(model, load_tokenizer(model.path, model.chat))
    if told:
        raise SetupError(
            f"{told}.",
            where=str(model.path),
            fix="resize the embedding (model.resize_token_embeddings), or use the tokenizer that "
            "the model was saved with.",
        )


def probe_row(tokenizer: Tokenizer, row: ChatRow) -> ProbedRow:
    """Return a row as a model would be trained on it, or why it can't be."""
    shape = name_shape(row)
    try:
        return ProbedRow(
            shape, row["origin"], render_rows(tokenizer, row["messages"], row.get("tools"))
        )
    except RenderingError as error:
        return ProbedRow(shape, row["origin"], [], error.message)


def name_shape(row: ChatRow) -> str:
    """Return what is in a row, as far as templates treat it differently."""
    messages = row["messages"]
    if messages[0]["role"] == "text":
        return "text"
    answers = sum(m["role"] == "assistant" for m in messages)
    parts = {
        "assistant first": messages[0]["role"] == "assistant",
        "system": any(m["role"] == "system" for m in messages),
        "multi-turn": answers > 1,
        "tools": bool(row.get("tools")) or any(m.get("tool_calls") for m in messages),
        "reasoning": any(m.get("reasoning") for m in messages),
    }
    return ", ".join(name for name, there in parts.items() if there) or "single turn"


def _probe_tokenizer(model: LocalModel, tokenizer: Tokenizer) -> Iterator[ProbeFinding]:
    told = _find_missing_rows(model, tokenizer)
    rows = embedding_rows(model.path)
    fits = f"{len(tokenizer):,} tokens, embedding {rows:,}" if rows else "the config names no size"
    yield ProbeFinding(name="tokens", state="refused" if told else "ok", says=told or fits)
    begins = encode_texts(tokenizer, ["a"])[0][:1] == [tokenizer.bos_token_id]
    yield ProbeFinding(
        name="beginning",
        state="ok",
        says=f"plain text begins with {tokenizer.bos_token}" if begins else "no token begins texts",
    )
    if not tokenizer.chat_template:
        yield ProbeFinding(name="chat template", state="warn", says="none: plain text alone")
        return
    if model.chat.template_date is not None:
        says = f"the template writes a date: {model.chat.template_date}, in every run of this home"
        yield ProbeFinding(name="date", state="warn", says=says)
    if model.chat.template:
        says = json.dumps(model.chat.template)
        yield ProbeFinding(name="template arguments", state="ok", says=says)
    end = end_of_turn(tokenizer)
    yield ProbeFinding(
        name="end of answers",
        state="ok" if end.how in ("template", "recipe") else "warn",
        says=_describe_end(end, model),
    )


def _describe_end(end: EndOfTurn, model: LocalModel) -> str:
    whence = {
        "template": "as the template writes it",
        "recipe": "as the recipe says",
        "next role": "the template ends no answer: the marker of who speaks next does",
        "added": "the template ends no answer: the tokenizer's end of sequence is added",
    }[end.how]
    config = stopping(model.path)
    listed = config if isinstance(config, list) else [config]
    unknown = [t for t, i in zip(end.texts, end.ids, strict=True) if i not in listed]
    more = f"; generation_config.json doesn't stop at {unknown[0]}, Temper does" if unknown else ""
    return f"{' or '.join(end.texts)}, {whence}{more}"


def _probe_shapes(model: LocalModel, tokenizer: Tokenizer) -> Iterator[ProbeFinding]:
    if not tokenizer.chat_template:
        return
    for name, (messages, tools) in SHAPES.items():
        row = ChatRow(
            row_id="", messages=messages, label=None, group=None, split=None, origin="", tools=tools
        )
        probed = probe_row(tokenizer, row)
        if probed.refused:
            state, says = "refused" if name == "single turn" else "warn", probed.refused
        elif len(probed.made) > 1:
            state, says = "ok", "a row an answer: the template writes earlier turns otherwise"
        else:
            state, says = "ok", "one row, the prompt of inference first"
        yield ProbeFinding(name=name, state=state, says=says)


def _find_missing_rows(model: LocalModel, tokenizer: Tokenizer) -> str:
    """Return what is wrong where a tokenizer makes ids beyond a model's embedding."""
    rows = embedding_rows(model.path)
    highest = max(tokenizer.get_vocab().values()) + 1
    if rows is None or highest <= rows:
        return ""
    return f"the tokenizer has {highest:,} tokens, and the model's embedding {rows:,} rows"
