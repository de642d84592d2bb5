"""A recipe as flat parameters and as text, with nothing secret in them."""

import json
import re
from collections.abc import Iterator
from typing import Any

from configs.redaction import MASK, is_secret_name, redact

LONGEST = 500
"""Characters of a parameter's value; longer ones are cut, the recipe file has them whole."""

_LINE = re.compile(r"^(?P<start>\s*(?:- )?[{]?\s*(?P<key>[\w.\-]+)\s*:\s+)(?P<value>\S.*)$")


def flatten(recipe: dict[str, Any]) -> dict[str, str]:
    """Return the recipe's fields as ``dotted.path`` -> text of at most 500 characters.

    Members of a list that have a ``name`` go by it, others by their position. Values of keys that
    look like a token, secret, password or key are masked, and so are credentials in addresses.
    """
    return {path: redact(value)[:LONGEST] for path, value in _leaves(recipe, "")}


def mask_text(text: str) -> str:
    """Return a YAML text with the values of secret-looking keys and credentials masked."""
    return redact("\n".join(_mask_line(line) for line in text.split("\n")))


def _leaves(node: Any, path: str) -> Iterator[tuple[str, str]]:
    if path and is_secret_name(path):
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
    return f"{found['start']}{MASK}" if found and is_secret_name(found["key"]) else line
