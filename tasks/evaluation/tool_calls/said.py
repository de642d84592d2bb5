"""The calls that an answer makes, whichever way its model writes them.

Known are JSON objects with ``name`` and ``arguments`` (or ``parameters``), alone, in lists, in
fences, between tags (Hermes and Qwen ``<tool_call>``, Mistral ``[TOOL_CALLS]``, Llama 3.1
``<|python_tag|>``) and inside prose; OpenAI's ``{"function": {...}}``; Llama 3.1's
``<function=name>{...}</function>``; and Python calls with keywords, alone or in a list, where the
answer is nothing else. What a model thought first is left out.
"""

import ast
import json
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, NamedTuple

from tasks.text.thoughts import spoken

_TAGGED = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_WRAPPED = re.compile(r"^```\w*\n(.*)\n```$|^<\|python_tag\|>(.*)$", re.DOTALL)
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    """A tool's name and the arguments given to it."""

    name: str
    arguments: Mapping[str, Any]


def calls_said(answer: str, offered: Container[str] = ()) -> list[Call]:
    """Return the calls of an answer, in their order.

    Args:
        answer: What the model wrote.
        offered: Names of tools, by which an object without arguments is known as a call.
    """
    text = spoken(answer).strip()
    tagged = [_tagged(name, inside) for name, inside in _TAGGED.findall(text)]
    found = tagged or list(_objects(text, offered)) or _python(text)
    return [call for call in found if call is not None]


def as_call(value: Any, offered: Container[str] = ()) -> Call | None:
    """Return what a JSON value calls, or None where it is no call."""
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    value = inner if isinstance(inner, dict) else value
    name, given = value.get("name"), value.get("arguments", value.get("parameters"))
    if isinstance(given, str):
        given = _loaded(given)
    if not isinstance(name, str) or not (isinstance(given, dict) or name in offered):
        return None
    return Call(name, given if isinstance(given, dict) else {})


def _objects(text: str, offered: Container[str]) -> Iterator[Call]:
    place = text.find("{")
    while place >= 0:
        try:
            value, end = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            call = as_call(value, offered)
            if call is None:
                end = place + 1  # a call may be inside: {"tool_calls": [...]}
            else:
                yield call
        place = text.find("{", end)


def _tagged(name: str, inside: str) -> Call | None:
    given = _loaded(inside) if inside.strip() else {}
    return Call(name, given) if isinstance(given, dict) else None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _python(text: str) -> list[Call | None]:
    wrapped = _WRAPPED.match(text)
    code = "".join(filter(None, wrapped.groups())) if wrapped else text
    try:
        body = ast.parse(code.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    nodes = body.elts if isinstance(body, ast.List) else [body]
    calls = [_python_call(node) for node in nodes]
    return [] if None in calls else calls


def _python_call(node: ast.expr) -> Call | None:
    if not isinstance(node, ast.Call) or node.args:
        return None
    try:
        given = {str(k.arg): ast.literal_eval(k.value) for k in node.keywords if k.arg}
    except (ValueError, TypeError):
        return None
    return Call(ast.unparse(node.func), given)
