"""How an answer ends: the token by which a model says that its turn is over.

It is what the chat template writes after an answer, so that training, generation and what is served
all end answers by the same token, whatever the tokenizer calls its end of sequence.
"""

from typing import Literal, NamedTuple
from weakref import WeakKeyDictionary

from tasks.errors import DataError, RenderingError
from tasks.text.rows import Message
from tasks.text.special import special_pattern, special_tokens
from tasks.text.template import ChatTemplate, Tokenizer, open_template

How = Literal["template", "next role", "added", "recipe"]

_ASKED, _SAID, _ASKED_NEXT = "zqasked", "zqsaid", "zqnext"
_CALL = '[{"id":"zqcall123","name":"zqcalled","arguments":{"zqkey":"zqvalue"}}]'
_TOOLS = '[{"name":"zqcalled","description":"zq","parameters":{"type":"object"}}]'


class EndOfTurn(NamedTuple):
    """What ends an answer.

    Attributes:
        ids: Tokens that end one; the first ends an answer in words, others a tool call.
        texts: The same as text.
        how: ``template``: the template writes it after every answer; ``next role``: the marker of
            the role that speaks next stands for it; ``added``: the template ends answers by no
            token, and the tokenizer's end of sequence is added; ``recipe``: the recipe names it.
        after: What the template writes between an answer and its end token (a space, say), or
            after an answer that no token ends.
    """

    ids: tuple[int, ...]
    texts: tuple[str, ...]
    how: How
    after: str = ""

    @property
    def written(self) -> bool:
        """Whether the template itself writes it after the last answer of a conversation."""
        return self.how == "template"

    def of(self, message: Message) -> str:
        """Return the text of the token that ends this message."""
        return self.texts[-1 if message.get("tool_calls") else 0]


def end_of_turn(tokenizer: Tokenizer) -> EndOfTurn:
    """Return what ends an answer of a model; its generation has to stop there, too.

    Args:
        tokenizer: With its chat template, and the recipe's settings where it was loaded with them.

    Raises:
        DataError: There is no such token: neither the template nor the tokenizer has one, or the
            one that the recipe names is no token of this tokenizer.
    """
    template = open_template(tokenizer)
    if template not in _FOUND:
        _FOUND[template] = _find_end(template)
    return _FOUND[template]


_FOUND: WeakKeyDictionary[ChatTemplate, EndOfTurn] = WeakKeyDictionary()


def _find_end(template: ChatTemplate) -> EndOfTurn:
    tokenizer = template.tokenizer
    known = tokenizer.get_added_vocab() | special_tokens(tokenizer)
    named, tail = template.settings.end_of_turn, _write_tail(template)
    if named is not None:
        after = tail[: tail.index(named)] if named in tail else tail
        return EndOfTurn((_find_token(template, named),), (named,), "recipe", after)
    first = _first_added(tokenizer, tail)
    if first is not None:
        texts = (first, *_end_of_call(template, first))
        return _make(known, texts, "template", tail[: tail.index(first)])
    markers = _next_markers(template)
    if markers:
        return _make(known, markers, "next role", "")
    if tokenizer.eos_token is None:
        raise DataError(
            "the chat template ends an answer by no token, and the tokenizer names none, so that "
            "no answer would ever end.",
            where=template.where,
            fix="name a token of the tokenizer in model.end_of_turn.",
        )
    return EndOfTurn((tokenizer.eos_token_id,), (tokenizer.eos_token,), "added", tail)


def _make(known: dict[str, int], texts: tuple[str, ...], how: How, after: str) -> EndOfTurn:
    kept = tuple(dict.fromkeys(texts))
    return EndOfTurn(tuple(known[text] for text in kept), kept, how, after)


def _find_token(template: ChatTemplate, text: str) -> int:
    ids = template.tokenizer(text, add_special_tokens=False)["input_ids"]
    if len(ids) == 1:
        return int(ids[0])
    raise DataError(
        f"'{text}' is {len(ids)} tokens of this tokenizer, and one token ends an answer.",
        where="model.end_of_turn",
        fix="name one of its special tokens.",
    )


def _write_tail(template: ChatTemplate) -> str:
    """Return what the template writes after the last answer of a conversation."""
    text = template.write(
        [Message(role="user", content=_ASKED), Message(role="assistant", content=_SAID)]
    )
    return text[text.rindex(_SAID) + len(_SAID) :] if _SAID in text else ""


def _first_added(tokenizer: Tokenizer, text: str) -> str | None:
    """Return the first token in a text that is none of words; some models mark none as special."""
    places = {t: text.find(t) for t in tokenizer.get_added_vocab() | special_tokens(tokenizer)}
    found = {token: place for token, place in places.items() if place >= 0 and token.strip()}
    return min(found, key=lambda token: (found[token], -len(token))) if found else None


def _end_of_call(template: ChatTemplate, end: str) -> tuple[str, ...]:
    """Return the token that ends a tool call, where it is another than ends an answer in words."""
    asked = Message(role="user", content=_ASKED)
    call = Message(role="assistant", content="", tool_calls=_CALL)
    try:
        text = template.write([asked, call], _TOOLS)
    except RenderingError:
        return ()
    if "zqvalue" not in text:
        return ()
    tail = text[text.rindex("zqvalue") :]
    pattern = special_pattern(template.tokenizer)
    found = pattern.findall(tail) if pattern else []
    return (found[-1],) if found and end not in found else ()


def _next_markers(template: ChatTemplate) -> tuple[str, ...]:
    """Return the markers of the roles that may follow an answer in words, and a tool call."""
    asked = Message(role="user", content=_ASKED)
    said = Message(role="assistant", content=_SAID)
    more = Message(role="user", content=_ASKED_NEXT)
    call = Message(role="assistant", content="", tool_calls=_CALL)
    given = Message(role="tool", content=_ASKED_NEXT, tool_call_id="zqcall123")
    found = []
    for talk, tools, last in (
        ([asked, said, more], None, _SAID),
        ([asked, call, given], _TOOLS, "zqvalue"),
    ):
        try:
            text = template.write(talk, tools)
        except RenderingError:
            continue
        if last in text and _ASKED_NEXT in text[text.rindex(last) :]:
            between = text[text.rindex(last) + len(last) : text.rindex(_ASKED_NEXT)]
            marker = _first_added(template.tokenizer, between)
            if marker is not None:
                found.append(marker)
    return tuple(found) if found and _marks_first(template, found[0]) else ()


def _marks_first(template: ChatTemplate, marker: str) -> bool:
    """Return whether a marker stands before the first user's turn, too: then it is the role's."""
    text = template.write([Message(role="user", content=_ASKED)])
    return marker in text[: text.index(_ASKED)] if _ASKED in text else False
