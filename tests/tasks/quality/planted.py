"""Kinds of faults, each as one row among good ones of its format: the table to extend.

A kind is a name, the format of its row, the check that has to find it and the row. Formats are
those of the recipe; each has good rows around the planted ones.
"""

import copy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]


class Planted(NamedTuple):
    """A fault: the check it must be found by, the file its row is in, and the row.

    ``row`` is an object, or the bytes of a line that is none.
    """

    kind: str
    format: str
    check: str
    row: Json | bytes


def _tool(name: str = "look_up", **fields: Any) -> Json:
    return {
        "name": name,
        "description": f"What {name} does.",
        "parameters": {"type": "object", "properties": {"q": {"type": "string"}}},
    } | fields


def _call(known_as: str = "c1", name: str = "look_up") -> Json:
    return {
        "id": known_as,
        "type": "function",
        "function": {"name": name, "arguments": '{"q": "x"}'},
    }


def _user(text: str = "What is the capital of Peru?") -> Json:
    return {"role": "user", "content": text}


def _bot(text: str = "It is Lima.", **fields: Any) -> Json:
    return {"role": "assistant", "content": text, **fields}


def _use(*calls: Json) -> Json:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def _result(known_as: str = "c1", text: str = "Lima") -> Json:
    return {"role": "tool", "tool_call_id": known_as, "content": text}


def _talk(*messages: Json) -> Json:
    return {"messages": list(messages)}


def _used(*messages: Json, tools: list[Json] | None = None) -> Json:
    offered = [_tool()] if tools is None else tools
    row = _talk(*messages)
    return row | {"tools": [{"type": "function", "function": t} for t in offered]}


def _converse(*messages: tuple[str, list[Json]], **fields: Any) -> Json:
    return {
        "schemaVersion": "bedrock-conversation-2024",
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "look_up",
                        "description": "Looks up.",
                        "inputSchema": {"json": {"type": "object"}},
                    }
                }
            ]
        },
        "messages": [{"role": r, "content": c} for r, c in messages],
    } | fields


def _uses(known_as: str = "t1", name: str = "look_up") -> Json:
    return {"toolUse": {"toolUseId": known_as, "name": name, "input": {"q": "x"}}}


def _gives(known_as: str = "t1") -> Json:
    return {"toolResult": {"toolUseId": known_as, "content": [{"text": "Lima"}]}}


def _share(*turns: tuple[str, str]) -> Json:
    return {
        "conversations": [{"from": who, "value": what} for who, what in turns],
        "tools": json.dumps([_tool()]),
    }


_ASK: tuple[str, list[Json]] = ("user", [{"text": "What is the capital of Peru?"}])
_SAY: tuple[str, list[Json]] = ("assistant", [{"text": "It is Lima."}])
_FN = '{"name": "look_up", "arguments": {"q": "x"}}'

GOOD: dict[str, Callable[[int], Json]] = {
    "messages": lambda i: _used(_user(f"question {i}?"), _use(_call()), _result(), _bot(f"a {i}")),
    "converse": lambda i: _converse(
        ("user", [{"text": f"question {i}?"}]), ("assistant", [_uses()]), ("user", [_gives()]), _SAY
    ),
    "sharegpt": lambda i: _share(
        ("human", f"question {i}?"),
        ("function_call", _FN),
        ("observation", "x"),
        ("gpt", f"answer {i}"),
    ),
    "alpaca": lambda i: {"instruction": f"question {i}?", "input": "", "output": f"answer {i}"},
    "completion": lambda i: {"prompt": f"question {i}?", "completion": f"answer {i}"},
    "text": lambda i: {"text": f"Once upon a time there were {i} sheep."},
    "dpo": lambda i: {"prompt": f"question {i}?", "chosen": f"good {i}", "rejected": f"bad {i}"},
    "rft": lambda i: {"messages": [_user(f"question {i}?")], "reference_answer": str(i)},
}
"""Format -> a good row of it, by number."""


def _bare(*messages: Json) -> Json:
    return _talk(*messages) | {"tools": None}


_MESSAGES = {
    "no text": ("empty", _used(_user(" \n"), _bot())),
    "no answer's text": ("empty", _used(_user(), _bot(""))),
    "null content": ("empty", _used(_user(), {"role": "assistant", "content": None})),
    "two users": ("alternation", _used(_user(), _user("And Chile's?"), _bot())),
    "two assistants": ("alternation", _used(_user(), _bot(), _bot("Lima, yes."))),
    "late system": ("alternation", _used(_user(), {"role": "system", "content": "x"}, _bot())),
    "assistant first": ("first_user", _used(_bot("Hello."), _user(), _bot())),
    "system alone": ("first_user", _used({"role": "system", "content": "Be kind."})),
    "user last": ("last_assistant", _used(_user())),
    "result last": ("last_assistant", _used(_user(), _use(_call()), _result())),
    "forged turn": ("reserved_tokens", _used(_user("a<|im_end|>b"), _bot())),
    "forged turn in an argument": (
        "reserved_tokens",
        _used(
            _user(),
            _use(
                _call(name="look_up")
                | {"function": {"name": "look_up", "arguments": '{"q": "</s>"}'}}
            ),
        ),
    ),
    "control character": ("control_characters", _used(_user("a\x07b"), _bot())),
    "replacement character": ("control_characters", _used(_user("a\ufffdb"), _bot())),
    "too long": ("length", _used(_user("x " * 20_000), _bot())),
    "too long reasoning": ("length", _used(_user(), _bot(reasoning_content="x " * 20_000))),
    "reasoning of a user": ("reasoning_place", _used(_user() | {"reasoning": "hm"}, _bot())),
    "call of a user": ("tool_place", _used(_user() | {"tool_calls": [_call()]}, _bot())),
    "call without tools": ("tools_missing", _bare(_user(), _use(_call()), _result(), _bot())),
    "unknown tool": ("tool_unknown", _used(_user(), _use(_call(name="lookup")), _result(), _bot())),
    "id twice in a turn": (
        "tool_id_twice",
        _used(_user(), _use(_call(), _call()), _result(), _bot()),
    ),
    "id twice in a talk": (
        "tool_id_twice",
        _used(_user(), _use(_call()), _result(), _bot(), _user("And?"), _use(_call())),
    ),
    "result before use": ("tool_result_early", _used(_user(), _bot("x"), _result(), _use(_call()))),
    "result of nothing": (
        "tool_result_early",
        _used(_user(), _use(_call()), _result(), _result("c9"), _bot()),
    ),
    "result twice": (
        "tool_result_twice",
        _used(_user(), _use(_call()), _result(), _result(text="Cusco"), _bot()),
    ),
    "no result": ("tool_result_missing", _used(_user(), _use(_call()), _user("Well?"), _bot())),
    "one result of two": (
        "tool_result_missing",
        _used(_user(), _use(_call(), _call("c2")), _result(), _bot()),
    ),
    "tool twice": ("tool_name_twice", _used(_user(), _bot(), tools=[_tool(), _tool()])),
    "tool undescribed": (
        "tool_undescribed",
        _used(_user(), _bot(), tools=[_tool(), _tool("b", description=" ")]),
    ),
    "tool untyped": (
        "tool_untyped",
        _used(_user(), _bot(), tools=[_tool(parameters={"properties": {}})]),
    ),
    "unknown field": ("unknown_fields", _used(_user(), _bot()) | {"stars": 5}),
    "unknown field of a message": ("unknown_fields", _used(_user(), _bot(mood="calm"))),
    "no tools where others have": ("inconsistent_tools", _bare(_user(), _bot())),
    "system where others have none": (
        "inconsistent_system",
        _used({"role": "system", "content": "Be kind."}, _user("Who?"), _bot()),
    ),
    "reasoning where others have none": (
        "inconsistent_reasoning",
        _used(_user("How?"), _bot(reasoning="so")),
    ),
    "picture": (
        "format",
        _used(_user() | {"content": [{"type": "image_url", "image_url": {"url": "x"}}]}, _bot()),
    ),
    "unknown role": ("format", _used(_user(), {"role": "robot", "content": "x"})),
    "no content": ("format", _used({"role": "user"}, _bot())),
    "broken arguments": (
        "format",
        _used(_user(), _use({"id": "c1", "function": {"name": "look_up", "arguments": "{cut"}})),
    ),
    "tool without a name": ("format", _used(_user(), _bot(), tools=[{"description": "x"}])),
    "messages null": ("format", {"messages": None, "tools": None}),
    "message null": ("format", _talk(_user(), None)),  # type: ignore[arg-type]
    "no JSON": ("format", b'{"messages": [{"role": "us'),
    "no UTF-8": ("format", b'{"messages": [{"role": "user", "content": "\xff"}]}'),
    "field twice": ("format", b'{"messages": [], "messages": []}'),
    "half a character": ("format", b'{"messages": [{"role": "user", "content": "\\ud800"}]}'),
}

_CONVERSE = {
    "other version": ("format", _converse(_ASK, _SAY, schemaVersion="bedrock-conversation-2030")),
    "picture": ("format", _converse(("user", [{"image": {"format": "png"}}]), _SAY)),
    "video": ("format", _converse(("user", [{"video": {"format": "mp4"}}]), _SAY)),
    "document": ("format", _converse(("user", [{"document": {"format": "pdf"}}]), _SAY)),
    "result in an answer": ("format", _converse(_ASK, ("assistant", [_gives()]))),
    "system role": ("format", _converse(("system", [{"text": "x"}]), _ASK, _SAY)),
    "two users": ("alternation", _converse(_ASK, _ASK, _SAY)),
    "assistant first": ("first_user", _converse(_SAY, _ASK, _SAY)),
    "user last": ("last_assistant", _converse(_ASK, _SAY, _ASK)),
    "no block": ("empty", _converse(("user", []), _SAY)),
    "call of a user": ("tool_place", _converse(("user", [{"text": "x"}, _uses()]), _SAY)),
    "reasoning of a user": (
        "reasoning_place",
        _converse(
            ("user", [{"text": "x"}, {"reasoningContent": {"reasoningText": {"text": "hm"}}}]), _SAY
        ),
    ),
    "unknown tool": ("tool_unknown", _converse(_ASK, ("assistant", [_uses(name="find")]))),
    "id twice": ("tool_id_twice", _converse(_ASK, ("assistant", [_uses(), _uses()]))),
    "result of nothing": (
        "tool_result_early",
        _converse(("user", [_gives(), {"text": "x"}]), _SAY),
    ),
    "result twice": (
        "tool_result_twice",
        _converse(_ASK, ("assistant", [_uses()]), ("user", [_gives(), _gives()]), _SAY),
    ),
    "no tools": ("tools_missing", _converse(_ASK, ("assistant", [_uses()]), toolConfig=None)),
    "unknown field": ("unknown_fields", _converse(_ASK, _SAY, note="x")),
}

_SHAREGPT = {
    "observation of nothing": (
        "tool_result_early",
        _share(("human", "x"), ("gpt", "y"), ("observation", "z"), ("gpt", "w")),
    ),
    "broken call": ("format", _share(("human", "x"), ("function_call", "look_up(x)"))),
    "unknown tool": (
        "tool_unknown",
        _share(
            ("human", "x"),
            ("function_call", _FN.replace("look_up", "find")),
            ("observation", "z"),
            ("gpt", "w"),
        ),
    ),
    "unknown speaker": ("format", _share(("alien", "x"), ("gpt", "y"))),
    "two humans": ("alternation", _share(("human", "x"), ("human", "z"), ("gpt", "y"))),
    "human last": ("last_assistant", _share(("human", "x"))),
    "no value": ("format", {"conversations": [{"from": "human"}], "tools": None}),
}

_ALPACA = {
    "no output": ("format", {"instruction": "x", "input": ""}),
    "empty output": ("empty", {"instruction": "x", "input": "", "output": ""}),
    "output is a list": ("format", {"instruction": "x", "input": "", "output": ["y"]}),
    "notes unused": ("unknown_fields", {"instruction": "x", "output": "y", "notes": [["a"]]}),
}
_COMPLETION = {
    "null prompt": ("empty", {"prompt": None, "completion": "y"}),
    "prompt is an object": ("format", {"prompt": {"a": 1}, "completion": "y"}),
    "forged turn": ("reserved_tokens", {"prompt": "x", "completion": "[INST] y"}),
    "duplicate": ("duplicate", {"prompt": "Question 1", "completion": "ANSWER 1!"}),
}
_TEXT = {
    "empty": ("empty", {"text": ""}),
    "not text": ("format", {"text": [1, 2]}),
    "forged turn": ("reserved_tokens", {"text": "x <|endoftext|> y"}),
    "too long": ("length", {"text": "x" * 16_001}),
    "unused field": ("unknown_fields", {"text": "Some sheep.", "url": "https://example.org"}),
}
_DPO = {
    "equal": ("pair_equal", {"prompt": "x?", "chosen": "same", "rejected": " same"}),
    "no chosen text": ("pair_empty", {"prompt": "x?", "chosen": "", "rejected": "b"}),
    "no rejected text": ("pair_empty", {"prompt": "x?", "chosen": "a", "rejected": None}),
    "no prompt": ("pair_no_prompt", {"prompt": None, "chosen": "a", "rejected": "b"}),
    "empty prompt": ("pair_no_prompt", {"prompt": " ", "chosen": "a", "rejected": "b"}),
    "no rejected side": ("format", {"prompt": "x?", "chosen": "a"}),
    "different talks": (
        "format",
        {"chosen": [_user("x"), _bot()], "rejected": [_user("y"), _bot()]},
    ),
    "chosen ends with the user": ("format", {"prompt": "x?", "chosen": [_user()], "rejected": "b"}),
    "forged turn in the rejected": (
        "reserved_tokens",
        {"prompt": "x?", "chosen": "a", "rejected": "b</s>"},
    ),
    "rejected too long": ("length", {"prompt": "x?", "chosen": "a", "rejected": "b" * 16_001}),
}
_RFT = {
    "no reference": ("reference_missing", {"messages": [_user("x?")]}),
    "empty reference": ("reference_missing", {"messages": [_user("y?")], "reference_answer": " "}),
    "answered": (
        "reference_answered",
        {"messages": [_user("z?"), _bot()], "reference_answer": "1"},
    ),
    "no messages": ("format", {"messages": [], "reference_answer": "1"}),
}

TABLE = {
    "messages": _MESSAGES,
    "converse": _CONVERSE,
    "sharegpt": _SHAREGPT,
    "alpaca": _ALPACA,
    "completion": _COMPLETION,
    "text": _TEXT,
    "dpo": _DPO,
    "rft": _RFT,
}
PLANTED = [
    Planted(kind, name, check, copy.deepcopy(row))
    for name, kinds in TABLE.items()
    for kind, (check, row) in kinds.items()
]
"""All of them."""


def lines_of(name: str, good: int) -> list[bytes]:
    """Return a file of a format: as many good rows, then its planted ones."""
    planted = [p.row for p in PLANTED if p.format == name]
    rows = [*(GOOD[name](i) for i in range(good)), *planted]
    return [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
