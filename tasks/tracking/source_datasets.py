"""A source as an MLflow dataset: what it is and where it came from, none of its rows."""

import json

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import CleanSource

DIGEST = 36
"""Characters MLflow keeps of a dataset's digest; the lock has all of them."""


def describe_dataset(clean: CleanSource) -> dict[str, str]:
    """Return the fields of ``mlflow.entities.Dataset`` for a source.

    They are written here and not by ``mlflow.data.from_pandas``: that takes a hub id for a local
    path, knows no ``package:`` address, and would report the rows of a sample as the dataset's.
    """
    uri = clean.origin.uri
    scheme = uri.partition(":")[0] if ":" in uri else "local"
    source = {
        "uri": uri,
        "revision": clean.origin.revision,
        "licence": clean.origin.licence,
        "category": clean.origin.category,
    }
    profile = {
        "num_rows": clean.rows_out,
        "rows_in": clean.rows_in,
        "splits": clean.splits,
        "findings": clean.findings,
        "verdict": clean.verdict,
        "digest": clean.digest,
    }
    return {
        "name": clean.name,
        "digest": clean.digest[:DIGEST],
        "source_type": scheme,
        "source": json.dumps(source),
        "profile": json.dumps(profile),
        "schema": _schema(clean),
    }


def _schema(clean: CleanSource) -> str:
    file = clean.split("train")
    fields = pq.read_schema(file) if file.is_file() else pa.schema([])
    columns = [
        {
            "name": f.name,
            "required": not f.nullable,
            "type": "string" if pa.types.is_string(f.type) else "any",
        }
        for f in fields
    ]
    return json.dumps({"mlflow_colspec": columns})
