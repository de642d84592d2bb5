"""What is shown to people: texts from data, file names and servers can't steer a terminal."""

import re

_UNSHOWABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control characters but tab and new line, marks of direction, invisible ones, half characters."""


def displayable(text: str) -> str:
    r"""Return a text with what a terminal would obey or hide written out, as ``\x1b``.

    Escape sequences, NUL, marks that turn the direction of writing, and characters that can't be
    seen are all named by their code; every other character stays.
    """
    return _UNSHOWABLE.sub(lambda found: _code(ord(found[0])), text)


def _code(point: int) -> str:
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
