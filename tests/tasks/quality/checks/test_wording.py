import re
from collections.abc import Callable
from typing import Any

import pytest

from tasks.quality.checks.wording import CONTROL, locate_control_character

Row = Callable[..., dict[str, Any]]
Found = Callable[..., dict[str, list[int]]]


@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x08", "\x7f", "\x85", "\x9f", "\ufffd"])
def test_a_control_character_is_found(row: Row, found: Found, character: str) -> None:
    assert found([row("fine"), row(f"a{character}b")]) == {"control_characters": [1]}
    assert locate_control_character(f"a{character}b", "none") == 1
    assert re.search(CONTROL.replace("{9f}", "9f").replace("\\x{fffd}", "\ufffd"), character)


def test_a_text_is_too_long_by_itself_and_not_with_others(row: Row, found: Found) -> None:
    rows = [row("é" * 50, "y" * 50), row("é" * 51), row("x", "y" * 51)]
    assert found(rows) == {"length": [1, 2]}
