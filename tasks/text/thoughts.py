"""What a model writes around its thoughts, and answers spelled with one kind of marks for all.

Models mark thoughts in their own ways (``<think>``, channels of gpt-oss and Gemma 4), some with
special tokens that a decoder drops. Everything that reads answers knows ``<think>`` alone.
"""

from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from tasks.errors import DataError
from tasks.text.reasoning import CLOSE, OPEN
from tasks.text.rows import Message
from tasks.text.special import special_pattern
from tasks.text.template import ChatTemplate, Tokenizer, open_template

_ASKED = Message(role="user", content="zqasked")
_THOUGHT, _SAID = "zqthought", "zqsaid"


class ThoughtMarks(NamedTuple):
    """What stands around a model's thoughts.

    Attributes:
        opening: Before a thought.
        closing: Between a thought and what is said.
        opened: Whether prompts end with the opening mark, so that answers lack it.
        heading: Before what is said without a thought: the name of its channel, say.
    """

    opening: str = OPEN
    closing: str = CLOSE
    opened: bool = False
    heading: str = ""


def thought_marks(tokenizer: Tokenizer) -> ThoughtMarks:
    """Return the marks of a model's thoughts as its chat template writes them.

    Those of a template that writes no thoughts are ``<think>`` and ``</think>``.
    """
    template = open_template(tokenizer)
    if template not in _FOUND:
        _FOUND[template] = _find_marks(template)
    return _FOUND[template]


def spell_answer(tokenizer: Tokenizer, ids: Sequence[int], *, ended: bool) -> str:
    """Return an answer as text, its thought between ``<think>`` and ``</think>``.

    Args:
        tokenizer: The model's.
        ids: What it wrote.
        ended: Whether it ended the answer itself. What was cut before the thought ended has no
            closing mark.
    """
    marks = thought_marks(tokenizer)
    text = str(tokenizer.decode(ids, skip_special_tokens=True))
    if marks.opened and not ended and marks.closing not in text and CLOSE not in text:
        return f"{OPEN}\n{text}"
    if OPEN in marks.opening or marks.opened:
        return text
    whole = str(tokenizer.decode(ids, skip_special_tokens=False)).lstrip()
    if not whole.startswith(marks.opening):
        headed = bool(marks.heading) and whole.startswith(marks.heading)
        return _drop_special(tokenizer, whole.removeprefix(marks.heading)) if headed else text
    thought, closed, said = whole.removeprefix(marks.opening).partition(marks.closing)
    clean = _drop_special(tokenizer, said)
    return f"{OPEN}\n{thought.strip()}" + (f"\n{CLOSE}\n\n{clean}" if closed else "")


def _drop_special(tokenizer: Tokenizer, text: str) -> str:
    pattern = special_pattern(tokenizer)
    return pattern.sub("", text) if pattern else text


_FOUND: WeakKeyDictionary[ChatTemplate, ThoughtMarks] = WeakKeyDictionary()


def _find_marks(template: ChatTemplate) -> ThoughtMarks:
    if not template.tokenizer.chat_template:
        return ThoughtMarks()
    answer = Message(role="assistant", content=_SAID, reasoning=_THOUGHT)
    try:
        prompt = template.write([_ASKED], answer_next=True)
        whole = template.write([_ASKED, answer])
        plain = template.write([_ASKED, Message(role="assistant", content=_SAID)])
    except DataError:
        return ThoughtMarks()
    opened = prompt.rstrip().endswith(OPEN)
    if opened or not whole.startswith(prompt) or _THOUGHT not in whole[len(prompt) :]:
        return ThoughtMarks(opened=opened)
    opening, _, rest = whole[len(prompt) :].partition(_THOUGHT)
    closing = rest.partition(_SAID)[0]
    if not (opening.strip() and closing.strip()):
        return ThoughtMarks()
    heading = plain[len(prompt) :].partition(_SAID)[0] if plain.startswith(prompt) else ""
    return ThoughtMarks(opening.strip(), closing.strip(), heading=heading.strip())
