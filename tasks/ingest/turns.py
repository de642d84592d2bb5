"""What the dialects of conversation share: lists of objects, and contents of text alone."""

from collections.abc import Mapping
from typing import Any

from tasks.errors import Unusable
from tasks.ingest.values import Row, as_text
from tasks.text.rows import Message

MEDIA = ("image", "video", "document", "image_url", "input_image", "audio", "input_audio", "file")


def objects(row: Row, name: str) -> list[Mapping[str, Any]]:
    """Return a field that must be a list of objects, and not empty.

    Raises:
        Unusable: It is something else.
    """
    value = row.get(name)
    if not isinstance(value, list) or not value:
        raise Unusable(f"'{name}' is {'empty' if value in ([], None) else 'not a list'}")
    if not all(isinstance(v, Mapping) for v in value):
        raise Unusable(f"'{name}' holds something that is not an object")
    return value


def content_of(value: Any, place: str) -> str:
    """Return a content as text; the texts of a list of parts stand on a line each.

    Raises:
        Unusable: A part is a picture, a document or something else that is not text.
    """
    if not isinstance(value, list):
        return as_text(value, place)
    return "\n".join(_part(part, place) for part in value)


def refuse_block(kind: str, place: str) -> Unusable:
    """Return the reason for which a part of a content can't be used."""
    if kind in MEDIA:
        return Unusable(f"{place}: a content block is '{kind}': media, and only text is used")
    return Unusable(f"{place}: a content block is '{kind}', and only text is used")


def system_first(text: str, messages: list[Message]) -> list[Message]:
    """Return messages led by a system message, unless there is none or they have one."""
    if not text.strip() or (messages and messages[0]["role"] == "system"):
        return messages
    return [{"role": "system", "content": text}, *messages]


def _part(part: Any, place: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping):
        raise Unusable(f"{place}: a content block is not an object")
    # Parquet gives every block every field of any block, null where it has none.
    given = [str(k) for k, v in part.items() if v is not None and k != "type"]
    kind = str(part.get("type") or "text")
    if given != ["text"] or kind not in ("text", "input_text", "output_text"):
        raise refuse_block(next((k for k in given if k != "text"), kind), place)
    return as_text(part["text"], place)
