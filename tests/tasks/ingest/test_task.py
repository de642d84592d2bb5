from pathlib import Path
from typing import Any

import pytest
from prefect.states import Failed
from pydantic import TypeAdapter

from configs.sources import FilesSource
from tasks.errors import SourceError, SourceUnreachable
from tasks.ingest.task import ingest_source


def _source(path: Path) -> FilesSource:
    return TypeAdapter(FilesSource).validate_python(
        {"name": "x", "role": "general", "kind": "files", "path": str(path)}
    )


def _tried_again(error: Exception) -> bool:
    condition: Any = ingest_source.retry_condition_fn
    return bool(condition(ingest_source, None, Failed(data=error)))


def test_only_a_store_that_did_not_answer_is_tried_again() -> None:
    assert ingest_source.retries == 2
    assert _tried_again(SourceUnreachable("no answer"))
    assert not _tried_again(SourceError("no such file"))
    assert not _tried_again(ValueError("a fault of ours"))


def test_the_shell_does_what_the_function_does(tmp_path: Path, temper_home: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "once"}\n')
    assert ingest_source.fn(_source(path)).rows == 1
    with pytest.raises(SourceError):
        ingest_source.fn(_source(tmp_path / "none.jsonl"))
