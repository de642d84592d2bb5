"""Calls made beside calls due, and beside the schemas of the tools offered."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.evaluation.tool_calls.said import Call

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
