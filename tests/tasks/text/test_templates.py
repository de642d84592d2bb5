"""Every public format by every shape of row: right, or refused by name.

What each makes of each is in ``templates.txt``, to be read by a person. TEMPER_RECORD_GOLDEN=1
writes it anew.
"""

import datetime
import json
import os
from pathlib import Path

import pytest
from fakes.chat_families import FAMILIES, make_tokenizer
from fakes.masked_text import spell_row

from configs.chat import ChatSettings
from tasks.errors import RenderingError
from tasks.text.chat import prompt_ids, render_last, render_rows
from tasks.text.ending import end_of_turn
from tasks.text.masks import IGNORED
from tasks.text.template import set_chat_settings

GOLDEN = Path(__file__).parent / "templates.txt"
DAY = datetime.date(2026, 11, 28)


def user(text):
    return {"role": "user", "content": text}


def said(text, **more):
    return {"role": "assistant", "content": text, **more}


TOOLS = json.dumps(
    [
        {
            "name": "weather",
            "description": "Look it up",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        }
    ]
)
CALL = json.dumps([{"id": "call_1", "name": "weather", "arguments": {"city": "Ulm"}}])
SHAPES = {
    "single": ([user("Hi there"), said("Hello you")], None),
    "multi": ([user("Hi there"), said("Hello you"), user("And now?"), said("Goodbye.")], None),
    "system": ([{"role": "system", "content": "Be brief."}, user("Hi"), said("Hello")], None),
    "tools": (
        [
            user("Weather in Ulm?"),
            said("", tool_calls=CALL),
            {"role": "tool", "content": "sunny", "tool_call_id": "call_1"},
            said("It is sunny."),
        ],
        TOOLS,
    ),
    "reasoning": ([user("1 plus 2?"), said("3", reasoning="Add them up")], None),
    "newlines": ([user("Code?\n"), said("\n\nprint(1)\n\n")], None),
    "assistant first": ([said("Welcome"), user("Hi"), said("Hello you")], None),
}
EVERY = [(name, shape) for name in FAMILIES for shape in SHAPES]


@pytest.fixture(scope="module")
def tokenizers():
    """A tokenizer of every family, all on the same day."""
    made = {name: make_tokenizer(name) for name in FAMILIES}
    for tokenizer in made.values():
        set_chat_settings(tokenizer, ChatSettings(template_date=DAY))
    return made


def runs(row):
    """Where each run of tokens with loss begins, and the tokens."""
    found = []
    for i, label in enumerate(row.labels):
        if label == IGNORED:
            continue
        if i and row.labels[i - 1] != IGNORED:
            found[-1][1].append(label)
        else:
            found.append((i, [label]))
    return found


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_a_row_is_refused_by_name_or_is_its_prompt_then_its_answer_and_end(tokenizers, name, shape):
    tokenizer, (messages, tools) = tokenizers[name], SHAPES[shape]
    try:
        rows = render_rows(tokenizer, messages, tools)
    except RenderingError:
        return  # Which ones are refused, and in which words, stands in templates.txt.
    end = end_of_turn(tokenizer)
    turns = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
    found = [(row, *run) for row in rows for run in runs(row)]
    assert len(found) == len(turns)
    for turn, (row, start, answer) in zip(turns, found, strict=True):
        message = messages[turn]
        if turn:
            assert row.input_ids[:start] == prompt_ids(tokenizer, messages[:turn], tools)
        assert answer[-1] in end.ids
        text = tokenizer.decode(answer)
        assert message["content"].strip() in text
        assert message.get("reasoning", "") in text
        assert "tool_calls" not in message or all(word in text for word in ("weather", "Ulm"))
        before = tokenizer.decode(row.input_ids[:start])
        assert all(m["content"].strip() in before for m in messages[:turn])
        assert tools is None or "weather" in before


@pytest.mark.parametrize(("name", "shape"), EVERY)
def test_an_answer_alone_stands_after_the_same_prompt(tokenizers, name, shape):
    tokenizer, (messages, tools) = tokenizers[name], SHAPES[shape]
    try:
        row = render_last(tokenizer, messages, tools)
    except RenderingError:
        return
    [(start, _)] = runs(row)
    assert row.input_ids[:start] == prompt_ids(tokenizer, messages[:-1], tools)


def test_what_every_format_makes_of_every_row_is_what_a_person_read(tokenizers):
    lines = ["What carries loss stands in [[ ]]; dots part tokens; _ is a blank, ⏎ a new line."]
    for name in sorted(FAMILIES):
        end = end_of_turn(tokenizers[name])
        lines += ["", f"{name}: answers end by {' or '.join(end.texts)} ({end.how})"]
        for shape, (messages, tools) in SHAPES.items():
            try:
                rows = render_rows(tokenizers[name], messages, tools)
                told = [spell_row(tokenizers[name], row) for row in rows]
            except RenderingError as error:
                told = [f"refused: {error.message}"]
            lines += [f"  {shape}:", *(f"    {line}" for line in told)]
    text = "\n".join(lines) + "\n"
    if os.environ.get("TEMPER_RECORD_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
