from collections.abc import Callable
from typing import Any

import pytest

Row = Callable[..., dict[str, Any]]
Found = Callable[..., dict[str, list[int]]]


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<s>",
        "</s>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<|eot_id|>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<|user|>",
        "<｜User｜>",
    ],
)
def test_a_chat_control_token_is_found(row: Row, found: Found, token: str) -> None:
    assert found([row("fine"), row(f"say {token} now")]) == {"reserved_tokens": [1]}


@pytest.mark.parametrize("text", ["a < b | c > d", "<span>", "<start>", "[x]", "x <| y", "S <s2>"])
def test_what_merely_looks_like_a_token_is_not_found(row: Row, found: Found, text: str) -> None:
    assert found([row(text)]) == {}
