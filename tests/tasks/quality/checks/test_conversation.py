from collections.abc import Callable
from typing import Any

import pytest

Row = Callable[..., dict[str, Any]]
Found = Callable[..., dict[str, list[int]]]


def _turns(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"text {i}"} for i, role in enumerate(roles)]


def test_a_clean_row_is_found_by_nothing(row: Row, found: Found) -> None:
    assert found([row("Line one.\n\tTwo — ünï 日本語 🙂\r\n")]) == {}


def test_no_rows_have_no_findings(found: Found) -> None:
    assert found([]) == {}


@pytest.mark.parametrize(("prompt", "answer"), [("", "yes"), ("why", " \n\t"), ("\u3000", "yes")])
def test_a_message_without_text_is_empty(row: Row, found: Found, prompt: str, answer: str) -> None:
    assert found([row("fine"), row(prompt, answer), row("fine too")]) == {"empty": [1]}


@pytest.mark.parametrize(
    "roles",
    [
        ("user", "assistant"),
        ("system", "user", "assistant"),
        ("user", "assistant", "user", "assistant"),
        ("text",),
    ],
)
def test_turns_in_order_pass(row: Row, found: Found, roles: tuple[str, ...]) -> None:
    assert found([row("", messages=_turns(*roles))]) == {}


@pytest.mark.parametrize(
    ("roles", "checks"),
    [
        (("user",), {"last_assistant"}),
        (("assistant",), {"first_user"}),
        (("assistant", "user"), {"first_user", "last_assistant"}),
        (("user", "user", "assistant"), {"alternation"}),
        (("user", "assistant", "assistant"), {"alternation"}),
        (("user", "assistant", "user"), {"last_assistant"}),
        (("system",), {"first_user", "last_assistant"}),
        (("system", "assistant"), {"first_user"}),
        (("user", "system", "assistant"), {"alternation"}),
        (("user", "assistant", "system"), {"alternation", "last_assistant"}),
        (("system", "system", "user", "assistant"), {"alternation", "first_user"}),
        (("text", "assistant"), {"alternation", "first_user"}),
        (("user", "text"), {"alternation", "last_assistant"}),
        (("user", "robot", "assistant"), {"alternation"}),
    ],
)
def test_turns_out_of_order_are_found(
    row: Row, found: Found, roles: tuple[str, ...], checks: set[str]
) -> None:
    rows = [row("a"), row("", messages=_turns(*roles)), row("b")]
    assert found(rows) == dict.fromkeys(checks, [1])
