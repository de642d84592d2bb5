import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.display import displayable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\0b", "a\\x00b"),
        ("gnp\u202efdp.exe", "gnp\\u202efdp.exe"),
        ("back\x08\x7f", "back\\x08\\x7f"),
        ("a\rb", "a\\x0db"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("one\ntwo\tthree", "one\ntwo\tthree"),
        ("Größe 漢字 هذا हिन्दी 👩‍👩‍👧", "Größe 漢字 هذا हिन्दी 👩‍👩‍👧"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert displayable(text) == shown


@given(st.text())
def test_nothing_shown_is_a_control_character(text: str) -> None:
    shown = displayable(text)
    assert not {c for c in shown if unicodedata.category(c) in ("Cc", "Cs")} - {"\n", "\t"}
    assert displayable(shown) == shown
