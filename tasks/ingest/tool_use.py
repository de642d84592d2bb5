"""Tools and calls of them, whatever their dialect, in the one form that rows keep."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.files.records import parse_json
from tasks.text.rows import compact

_NO_ARGUMENTS: Mapping[str, Any] = {"type": "object", "properties": {}}


def normalise_tools(value: Any) -> str | None:
    """Return a row's tools as JSON text, or None where it has none.

    OpenAI's ``{"type": "function", "function": {...}}``, the bare function, Converse's
    ``{"toolSpec": {...}}``, and any of these as JSON text are known.

    Raises:
        Unusable: It is not a list of tools.
    """
    tools = _parse_value(value, "tools")
    if not tools:
        return None
    if not isinstance(tools, list):
        raise Unusable("'tools' is not a list")
    return dump_json(
        [_normalise_tool(tool, number) for number, tool in enumerate(tools, start=1)], "tools"
    )


def normalise_call(name: Any, arguments: Any, call_id: Any, place: str) -> dict[str, Any]:
    """Return a call of a tool: its id, the tool's name and the arguments.

    Raises:
        Unusable: It has no name, or its arguments are not an object.
    """
    if not isinstance(name, str) or not name:
        raise Unusable(f"{place}: a tool call has no name")
    found = _parse_value(arguments, f"{place}: the arguments of '{name}'")
    if found is not None and not isinstance(found, Mapping):
        raise Unusable(f"{place}: the arguments of '{name}' are not an object")
    return {"id": str(call_id), "name": name, "arguments": found or {}}


def dump_json(value: Any, what: str) -> str:
    """Return a value as the JSON text that rows keep.

    Raises:
        Unusable: JSON has no form for it.
    """
    try:
        return compact(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unusable(f"{what}: no JSON can say it: {error}") from error


class CallIds:
    """The calls of one conversation, to number those that came without an id.

    Where a dialect has no ids, results come in the order of the calls they answer.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        self._made = 0

    def add(self, name: Any, call_id: Any) -> str:
        """Return the id of a new call, given or made."""
        self._made += 1
        found = f"call_{self._made}" if call_id in (None, "") else str(call_id)
        self._open.append((found, str(name)))
        return found

    def answer(self, call_id: Any, name: Any = None) -> str | None:
        """Return the id of the call that a result is for; None where none is waiting."""
        if call_id in (None, ""):
            waiting = [i for i, n in self._open if name in (None, "", n)]
            call_id = waiting[0] if waiting else None
        self._open = [(i, n) for i, n in self._open if i != call_id]
        return None if call_id is None else str(call_id)


def _normalise_tool(tool: Any, number: int) -> dict[str, Any]:
    spec = tool
    if isinstance(tool, Mapping):
        spec = tool.get("function") or tool.get("toolSpec") or tool
    name = spec.get("name") if isinstance(spec, Mapping) else None
    if not isinstance(name, str) or not name:
        raise Unusable(f"tools: number {number} is not a tool with a name")
    schema = spec.get("inputSchema")
    if isinstance(schema, Mapping):
        schema = schema.get("json", schema)
    parameters = next(
        (p for p in (spec.get("parameters"), schema, spec.get("input_schema")) if p is not None),
        _NO_ARGUMENTS,
    )
    parameters = _parse_value(parameters, f"tools: the parameters of '{name}'")
    if not isinstance(parameters, Mapping):
        raise Unusable(f"tools: the parameters of '{name}' are not an object")
    about = spec.get("description")
    return {
        "name": name,
        "description": "" if about is None else str(about),
        "parameters": parameters,
    }


def _parse_value(value: Any, what: str) -> Any:
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return parse_json(value)
    except ValueError as error:
        raise Unusable(f"{what}: not JSON: {error}") from error
