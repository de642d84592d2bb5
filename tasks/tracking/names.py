"""Names as people write them, as keys that MLflow takes."""

import hashlib
import posixpath
import re
from collections.abc import Iterable

LONGEST = 250
"""Characters of a metric's, a parameter's and a tag's key."""
LONGEST_EXPERIMENT = 500
_REFUSED = re.compile(r"[^\w.\- :/]")
_WORDS = {"@": "_at_", "%": "_percent", "+": "_plus_", "#": "_no_", "&": "_and_"}


def mlflow_key(name: str, longest: int = LONGEST) -> str:
    """Return the key under which MLflow keeps what is called ``name``; the name, where it takes it.

    ``pass@1`` is kept as ``pass_at_1``. Where a name had to be cut, or other characters replaced,
    some hex digits of its digest keep two names apart.

    Args:
        name: Any text that isn't empty.
        longest: Characters a key may have.
    """
    worded = "".join(_WORDS.get(c, c) for c in name)
    key = _REFUSED.sub("_", worded)
    if posixpath.normpath(key) != key or key.startswith(("/", "..")) or key == ".":
        key = key.replace("/", "_").replace("..", "__").strip() or "_"
        key = "_" if key == "." else key
    if key == worded and len(key) <= longest:
        return key
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{key[: longest - 9]}-{mark}"


def mlflow_keys(names: Iterable[str]) -> dict[str, str]:
    """Return the key of each name; no two names share one.

    Args:
        names: Each once.
    """
    keys: dict[str, str] = {}
    for name in names:
        key = mlflow_key(name)
        if key in keys.values():
            key = f"{key[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        keys[name] = key
    return keys


def mlflow_model_name(name: str) -> str:
    """Return the name with what MLflow refuses in a registered model's name replaced."""
    plain = re.sub(r"[/:\x00-\x1f]", "_", name).strip()
    return "_" if plain in ("", ".", "..") else plain
