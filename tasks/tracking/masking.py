"""A recipe as flat parameters, with nothing secret in them."""

import json
import re
from collections.abc import Iterator
from typing import Any

MASK = "***"
LONGEST = 500
"""Characters of a parameter's value; longer ones are cut, the recipe file has them whole."""

_SECRET = re.compile(
    r"(^|[_\-.])(token|secret|password|passwd|api[_-]?key|access[_-]?key|credentials?)$",
    re.IGNORECASE,
)
_LINE = re.compile(r"^(?P<start>\s*(?:- )?[{]?\s*(?P<key>[\w.\-]+)\s*:\s+)(?P<value>\S.*)$")
_USER = re.compile(r"(?<=://)[^/\s@\"']+@")
_QUERY = re.compile(
    r"(?P<key>[?&][\w\-]*(?:token|secret|signature|sig|password|key|credential)=)[^&\s\"',}\]]+",
    re.IGNORECASE,
)


def flatten(recipe: dict[str, Any]) -> dict[str, str]:
    """Return the recipe's fields as ``dotted.path`` -> text of at most 500 characters.

    Members of a list that have a ``name`` go by it, others by their position. Values of keys that
    look like a token, secret, password or key are masked, and so are credentials in addresses.
    """
    return {path: mask_addresses(value)[:LONGEST] for path, value in _leaves(recipe, "")}


def mask_text(text: str) -> str:
    """Return a YAML text with the values of secret-looking keys and credentials masked."""
    return mask_addresses("\n".join(_mask_line(line) for line in text.split("\n")))


def mask_addresses(text: str) -> str:
    """Return the text without user names, passwords and signatures inside addresses."""
    return _QUERY.sub(rf"\g<key>{MASK}", _USER.sub(f"{MASK}@", text))


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if path and _SECRET.search(path):
        yield path, MASK
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple) and any(isinstance(x, dict) for x in node):
        for i, value in enumerate(node):
            name = value.get("name", i) if isinstance(value, dict) else i
            yield from _leaves(value, f"{path}.{name}")
    else:
        yield path, node if isinstance(node, str) else json.dumps(node, ensure_ascii=False)


def _mask_line(line: str) -> str:
    found = _LINE.match(line)
    return f"{found['start']}{MASK}" if found and _SECRET.search(found["key"]) else line
