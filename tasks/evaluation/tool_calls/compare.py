"""Calls made beside calls due, and beside the schemas of the tools offered."""

import ast
import json
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tasks.text.reasoning import strip_reasoning

# The calls that an answer makes, whichever way its model writes them.

_TAGGED = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_WRAPPED = re.compile(r"^```\w*\n(.*)\n```$|^<\|python_tag\|>(.*)$", re.DOTALL)
_DECODER = json.JSONDecoder()


class Call(NamedTuple):
    """A tool's name and the arguments given to it."""

    name: str
    arguments: Mapping[str, Any]


def parse_calls(answer: str, offered: Container[str] = ()) -> list[Call]:
    """Return the calls of an answer, in their order.

    Args:
        answer: What the model wrote.
        offered: Names of tools, by which an object without arguments is known as a call.
    """
    text = strip_reasoning(answer).strip()
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


_TYPES = {
    "dict": "object",
    "float": "number",
    "int": "integer",
    "str": "string",
    "bool": "boolean",
    "list": "array",
    "tuple": "array",
}
"""Types of Python that sets of tools write where a JSON schema has names of its own."""


def compare(
    made: Sequence[Call], due: Sequence[Call], tools: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    """Return the scores of an item by name, each 0 or 1.

    Args:
        made: Calls of the answer.
        due: Calls of the right one; none where no call is due.
        tools: Offered, each with ``name`` and ``parameters``.
    """
    if not due:
        return {"no_call": float(not made), "accuracy_of_calls": float(not made)}
    same_names = Counter(c.name for c in made) == Counter(c.name for c in due)
    right = Counter(map(_key, made)) == Counter(map(_key, due))
    return {
        "right_function": float(same_names),
        "right_arguments": float(right),
        "valid_arguments": float(bool(made) and all(is_valid(c, tools) for c in made)),
        "accuracy_of_calls": float(right),
    }


def is_valid(call: Call, tools: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a call names a tool that is offered and satisfies its schema."""
    from jsonschema import Draft202012Validator

    schemas = [t.get("parameters") or {} for t in tools if t["name"] == call.name]
    return any(
        Draft202012Validator(plain_schema(s)).is_valid(dict(call.arguments)) for s in schemas
    )


def schema_problem(schema: Any) -> str | None:
    """Return why a tool's parameters are no JSON schema, or None where they are one."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(plain_schema(schema))
    except SchemaError as error:
        return str(error.message)
    return None


def plain_schema(schema: Any) -> Any:
    """Return a schema with its types by JSON's names; ``any`` allows everything."""
    if isinstance(schema, list):
        return [plain_schema(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    kind = schema.get("type")
    renamed = {k: plain_schema(v) for k, v in schema.items()}
    if isinstance(kind, str):
        renamed["type"] = _TYPES.get(kind.lower(), kind.lower())
    return {k: v for k, v in renamed.items() if (k, v) != ("type", "any")}


def _key(call: Call) -> str:
    return json.dumps([call.name, _normal(dict(call.arguments))], sort_keys=True)


def _normal(value: Any) -> Any:
    """Return a value by what it says: 2.0 is 2, an unset argument isn't there."""
    if isinstance(value, Mapping):
        return {str(k): _normal(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [_normal(v) for v in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.strip() if isinstance(value, str) else value
