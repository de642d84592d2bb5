"""The control tokens of a model's tokenizer, read from its files without loading it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_special_tokens(folder: Path) -> tuple[str, ...]:
    """Return the tokens that a tokenizer reads as control tokens wherever a text has them, sorted.

    Words without a sign are left out: a text may rightly hold them.
    """
    found = {*_read_added(folder), *_read_named(folder)}
    signs = [t for t in found if len(t) > 2 and not all(c.isalnum() or c.isspace() for c in t)]
    return tuple(sorted(signs))


def _read_added(folder: Path) -> Iterator[str]:
    tokens = _read_json(folder / "tokenizer.json").get("added_tokens") or []
    later = _read_json(folder / "tokenizer_config.json").get("added_tokens_decoder") or {}
    for token in (*tokens, *later.values()):
        if isinstance(token, dict) and token.get("special"):
            yield str(token.get("content") or "")


def _read_named(folder: Path) -> Iterator[str]:
    for value in _read_json(folder / "special_tokens_map.json").values():
        for token in value if isinstance(value, list) else [value]:
            yield str(token.get("content") or "") if isinstance(token, dict) else str(token)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
