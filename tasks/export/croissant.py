"""An exported mixture's metadata in Croissant 1.0, checked by mlcroissant itself."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tasks.errors import SetupError, StorageError
from tasks.export.data_card import describe_use, list_licences
from tasks.storage import file_digest, write_text

RECORDS = "rows"
_PATHS: dict[tuple[str, bool], dict[str, str]] = {
    ("messages", False): {"role": "[*].role", "content": "[*].content"},
    ("messages", True): {"role": "[*].role", "content": "[*].content[*].text"},
    ("system", True): {"system": "[*].text"},
}
"""(key of a line, Converse or not) -> fields -> JSON path below the key, for values in lists."""


def require_croissant() -> None:
    """Raise SetupError where mlcroissant isn't installed."""
    if find_spec("mlcroissant") is None:
        raise SetupError(
            "mlcroissant can't be imported.",
            where="this environment",
            fix="pip install 'temper-llm[croissant]'",
        )


def write_croissant(rows: Path, lock: Mapping[str, Any], keys: Iterable[str], made: date) -> None:
    """Write ``croissant.json`` beside a JSONL file of rows.

    Args:
        rows: The file; its lines become the record set ``rows``.
        lock: The mixture's lock.
        keys: Top-level keys that occur in its lines.
        made: The day the mixture was made.

    Raises:
        StorageError: mlcroissant finds the metadata wrong.
    """
    import mlcroissant as mlc

    path = rows.parent / "croissant.json"
    record = _make_metadata(mlc, rows, lock, sorted(keys), made).to_json()
    write_text(path, json.dumps(record, indent=1, default=_encode_date, ensure_ascii=False) + "\n")
    issues = mlc.Dataset(jsonld=str(path)).metadata.issues
    if issues.errors:
        raise StorageError(
            f"the metadata isn't valid Croissant: {issues.report()}",
            where=str(path),
            fix="export without --croissant.",
        )


def _make_metadata(
    mlc: Any, rows: Path, lock: Mapping[str, Any], keys: Sequence[str], made: date
) -> Any:
    context, digest = mlc.Context(), lock["mixture_digest"]
    file = mlc.FileObject(
        ctx=context,
        id=rows.name,
        name=rows.name,
        content_url=rows.name,
        encoding_formats=["application/jsonlines"],
        sha256=file_digest(rows),
        content_size=f"{rows.stat().st_size} B",
    )
    converse = "schemaVersion" in keys
    fields = [f for key in keys for f in _make_fields(mlc, context, rows.name, key, converse)]
    records = mlc.RecordSet(
        ctx=context,
        id=RECORDS,
        name=RECORDS,
        fields=fields,
        description="Conversations in the order of the plan.",
    )
    return mlc.Metadata(
        ctx=context,
        name=f"mixture-{digest[:12]}",
        description=describe_use(lock),
        url=f"urn:sha256:{digest}",
        license=list_licences(lock),
        version="1.0.0",
        date_published=datetime(made.year, made.month, made.day),
        creators=[mlc.Organization(ctx=context, name="temper")],
        cite_as=f"mixture {digest}, of " + ", ".join(_name_origin(s) for s in lock["sources"]),
        distribution=[file],
        record_sets=[records],
        data_use_cases=[describe_use(lock)],
    )


def _make_fields(mlc: Any, context: Any, file: str, key: str, converse: bool) -> list[Any]:
    """Return the fields below a key of a line: one, or several for the values of a list."""

    def make_field(name: str, path: str | None) -> Any:
        below = [mlc.Transform(ctx=context, json_path=path)] if path else []
        source = mlc.Source(
            ctx=context,
            file_object=file,
            transforms=below,
            extract=mlc.Extract(ctx=context, column=key),
        )
        return mlc.Field(
            ctx=context,
            id=f"{RECORDS}/{name}",
            name=name,
            source=source,
            data_types=[mlc.DataType.TEXT],
            repeated=path is not None,
            description=f"The {name} of each message." if path else f"The {name}.",
        )

    return [
        make_field(name, path) for name, path in _PATHS.get((key, converse), {key: None}).items()
    ]


def _name_origin(source: Mapping[str, Any]) -> str:
    return f"{source['uri']}@{source['revision']}" if source["revision"] else str(source["uri"])


def _encode_date(value: Any) -> str:
    return value.date().isoformat() if isinstance(value, datetime) else str(value)
