"""A tokenizer's chat template with what it is given beside the conversation, and what it writes."""

import datetime
import json
import re
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

from configs.chat import ChatSettings
from tasks.errors import DataError, RenderingError
from tasks.text.rows import Message
from tasks.text.turns import PLAIN, Dialect, as_offered, as_turns

Tokenizer = Any
"""A fast Hugging Face tokenizer; the library ships no usable type for it."""

_DIRECTIVES = "aAbBcdDeFgGhHIjkmMnpsSTuUVwWxXyYZ"
DATE_CALL = "strftime_now"
"""What a chat template calls to know what day it is."""
_TRIED_CALL = '[{"id":"call_1","name":"zqcalled","arguments":{"zqkey":"zqvalue"}}]'
_TRIED_TOOLS = '[{"name":"zqcalled","description":"zq","parameters":{"type":"object"}}]'
_TRIED: list[Message] = [
    Message(role="user", content="zqasked"),
    Message(role="assistant", content="", tool_calls=_TRIED_CALL),
    Message(role="tool", content="zqgiven", tool_call_id="call_1"),
    Message(role="assistant", content="zqsaid"),
]
"""A conversation with a tool, to see how a template wants to be given one."""


class ChatTemplate:
    """What writes conversations for a model: one for a tokenizer, its template and its settings.

    Args:
        tokenizer: Whose template it is.
        settings: Arguments, date and end of turn as the recipe has them.
    """

    def __init__(self, tokenizer: Tokenizer, settings: ChatSettings) -> None:
        self.tokenizer, self.settings = tokenizer, settings

    @property
    def where(self) -> str:
        """The model, as errors name it."""
        return str(self.tokenizer.name_or_path)

    def write(
        self, messages: Sequence[Message], tools: str | None = None, *, answer_next: bool = False
    ) -> str:
        """Return a conversation as the template writes it.

        Args:
            messages: At least one.
            tools: The row's, as JSON text.
            answer_next: Whether the assistant's answer comes next: the text then ends where it
                begins.

        Raises:
            DataError: There is no template.
            RenderingError: It refuses the turns.
        """
        if not self.tokenizer.chat_template:
            raise DataError(
                "the model's tokenizer has no chat template, so chat rows can't be rendered.",
                where=self.where,
                fix="use an instruction-tuned model, or plain-text rows.",
            )
        used = any(m.get("tool_calls") or m.get("tool_call_id") for m in messages)
        try:
            return self._write(messages, tools, self.dialect if used else PLAIN, answer_next)
        except _refusals() as error:
            raise RenderingError(
                f"the chat template refuses the row's turns: {str(error).rstrip('.')}.",
                where=self.where,
                fix="leave such rows out, or use a model whose template takes them.",
            ) from error

    @cached_property
    def dialect(self) -> Dialect:
        """How tool calls are handed over: the first way by which all of a conversation is written.

        The plain one where none is.
        """
        for signs in product((False, True), repeat=3):
            try:
                text = self._write(_TRIED, _TRIED_TOOLS, Dialect(*signs), answer_next=False)
            except _refusals():
                continue
            if all(word in text for word in ("zqcalled", "zqvalue", "zqgiven", "zqsaid")):
                return Dialect(*signs)
        return PLAIN

    def _write(
        self, messages: Sequence[Message], tools: str | None, dialect: Dialect, answer_next: bool
    ) -> str:
        offered = as_offered(tools)
        source = self.tokenizer.get_chat_template(None, offered)
        return str(
            self.tokenizer.apply_chat_template(
                as_turns(messages, dialect),
                chat_template=self._dated(source),
                tokenize=False,
                add_generation_prompt=answer_next,
                **({} if offered is None else {"tools": offered}),
                **self.settings.template,
            )
        )

    def _dated(self, source: str) -> str:
        """Return the template with the settings' date where it asks for today's."""
        day = self.settings.template_date
        return source if day is None or DATE_CALL not in source else _date_macro(day) + source


def set_chat_settings(tokenizer: Tokenizer, settings: ChatSettings) -> None:
    """Let a tokenizer's template be given these settings, by whoever renders with it."""
    _SETTINGS[tokenizer] = settings
    _OPENED.pop(tokenizer, None)


def open_template(tokenizer: Tokenizer) -> ChatTemplate:
    """Return what writes conversations for a tokenizer; what is found of it is found once."""
    known = _OPENED.get(tokenizer)
    if known is None or known[0] != tokenizer.chat_template:
        made = ChatTemplate(tokenizer, _SETTINGS.get(tokenizer, ChatSettings()))
        known = _OPENED[tokenizer] = tokenizer.chat_template, made
    return known[1]


_SETTINGS: WeakKeyDictionary[Tokenizer, ChatSettings] = WeakKeyDictionary()
_OPENED: WeakKeyDictionary[Tokenizer, tuple[object, ChatTemplate]] = WeakKeyDictionary()


def _date_macro(day: datetime.date) -> str:
    """Return the beginning of a template that answers ``strftime_now`` with a day's midnight.

    Templates see no functions of ours, so that it is said in their own language.
    """
    midnight = datetime.datetime.combine(day, datetime.time())
    said = {f"%{d}": midnight.strftime(f"%{d}") for d in _DIRECTIVES}
    said |= {f"%-{d}": re.sub(r"^0(?=\d)", "", said[f"%{d}"]) for d in _DIRECTIVES}
    swaps = "".join(
        f"|replace({json.dumps(asked)}, {json.dumps(text)})" for asked, text in said.items()
    )
    return f"{{%- macro {DATE_CALL}(format) -%}}{{{{ format{swaps} }}}}{{%- endmacro -%}}"


def _refusals() -> tuple[type[Exception], ...]:
    """Return what templates raise on turns that they can't write: their own words, or a mishap."""
    from jinja2.exceptions import TemplateError

    return TemplateError, TypeError, ValueError, LookupError, AttributeError
