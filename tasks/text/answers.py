"""What a model is to say at a turn: the prompt that it is shown then, and the answer with its end.

Both are what the chat template writes. The prompt is that of inference, so that training sees what
the model is shown when it answers.
"""

import json
import os
import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from tasks.errors import RenderingError
from tasks.text.ending import EndOfTurn, end_of_turn
from tasks.text.rows import Message
from tasks.text.template import ChatTemplate

_OPENED = re.compile(r"<think>\s*\Z")
OPEN, CLOSE = "<think>", "</think>"
_FIRST_ASKED = "zqasked"


class TurnAnswer(NamedTuple):
    """An assistant's turn.

    Attributes:
        prompt: Up to where the answer begins, as it is at inference.
        text: The answer, its end token last.
        rest: What the template writes after that (a newline, say), where no turn follows.
    """

    prompt: str
    text: str
    rest: str = ""


def write_answer(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None
) -> TurnAnswer:
    """Return the prompt and the answer of a conversation that ends with the assistant's turn.

    Raises:
        RenderingError: The template refuses the turns, or writes no answer after the prompt.
    """
    whole = template.write(messages, tools)
    if len(messages) == 1:
        prompt = _first_prompt(template, messages[0], whole)
    else:
        prompt = template.write(messages[:-1], tools, answer_next=True)
    said = _find_answer(prompt, whole, messages)
    if said is None:
        raise RenderingError(
            "the chat template writes the answer nowhere after the prompt that the model would "
            "be shown.",
            where=template.where,
            fix="leave such rows out, or use a model whose template keeps its prompts.",
        )
    text, rest = _part_end(said, end_of_turn(template.tokenizer), messages[-1])
    return TurnAnswer(prompt, text, rest)


def _first_prompt(template: ChatTemplate, message: Message, whole: str) -> str:
    """Return what stands before the answer of a conversation that begins with the assistant.

    No model is asked with nothing, so that the template writes no prompt: it is what introduces an
    answer elsewhere, and all before it.
    """
    asked = [Message(role="user", content=_FIRST_ASKED)]
    next_one = template.write(asked, answer_next=True)
    header = next_one[len(os.path.commonprefix([next_one, template.write(asked)])) :]
    place = whole.find(header) + len(header) if header and header in whole else -1
    if place < 0:
        place = whole.find(message["content"].strip())
    return whole[: max(place, 0)]


def _find_answer(prompt: str, whole: str, messages: Sequence[Message]) -> str | None:
    """Return what follows the prompt in a conversation that has the answer; None if nothing does.

    Where the template writes the conversation otherwise once it is answered (Mistral drops the
    system message, DeepSeek-R1 the thought that the prompt opened), the answer is what follows the
    last message before it.
    """
    if whole.startswith(prompt):
        return whole[len(prompt) :]
    opened = _OPENED.search(prompt)
    if opened is not None:
        said = _find_answer(prompt[: opened.start()], whole, messages)
        return None if said is None else _continue_thought(said, messages[-1])
    # The longest ending of the prompt that is written there, too.
    start = bisect_left(range(len(prompt)), True, key=lambda i: prompt[i:] in whole)
    ending = prompt[start:]
    asked = messages[-2]["content"].strip() if len(messages) > 1 else ""
    forms = asked, json.dumps(asked, ensure_ascii=False)[1:-1]
    if not asked or not any(form in ending for form in forms):
        return None
    return whole[whole.rindex(ending) + len(ending) :]


def _continue_thought(said: str, message: Message) -> str:
    """Return an answer to a prompt that has opened a thought: the thought's end comes first."""
    if said.lstrip().startswith(OPEN):
        return said.lstrip().removeprefix(OPEN).lstrip("\n")
    thought = (message.get("reasoning") or "").strip()
    return f"{thought}\n{CLOSE}\n\n{said.lstrip()}"


def _part_end(said: str, end: EndOfTurn, message: Message) -> tuple[str, str]:
    """Return an answer up to its end token, and what follows; the token is added where none is."""
    words = message["content"].strip()
    after = said.rfind(words) + len(words) if words and words in said else 0
    for token in (end.of(message), *end.texts):
        place = said.rfind(token)
        # Within the answer's own words it would end nothing.
        if place >= after:
            return said[: place + len(token)], said[place + len(token) :]
    if end.how in ("added", "recipe"):
        said = said.removesuffix(end.after)
    return said + end.of(message), ""
