import json
from pathlib import Path

import pytest
from prefect import flow
from prefect.artifacts import Artifact
from pydantic import TypeAdapter

from configs.quality import Quality
from configs.sources import FilesSource
from tasks.artifacts import CleanSource
from tasks.ingest.task import ingest_source
from tasks.quality.task import check_quality


def _source(folder: Path) -> FilesSource:
    path = folder / "a.jsonl"
    rows = [{"prompt": f"q{i}", "completion": "yes"} for i in range(20)] + [{"prompt": "q"}]
    path.write_text("\n".join(json.dumps(r) for r in rows))
    return TypeAdapter(FilesSource).validate_python(
        {"name": "My_voc.v2", "role": "domain", "kind": "files", "path": str(path)}
    )


def test_outside_a_run_the_shell_publishes_nothing(tmp_path: Path, temper_home: Path) -> None:
    source = _source(tmp_path)
    done = check_quality.fn(ingest_source.fn(source), source, Quality(), 17)
    assert (done.rows_in, done.verdict) == (21, "quarantine")


@pytest.mark.slow
def test_in_a_run_the_verdict_is_a_table_in_the_prefect_ui(
    tmp_path: Path, temper_home: Path, prefect_server: str
) -> None:
    source = _source(tmp_path)

    @flow
    def prepare() -> CleanSource:
        return check_quality(ingest_source(source), source, Quality(), 17)

    done = prepare()
    artifact = Artifact.get("quality-my-voc-v2")
    assert artifact is not None
    table = {row["check"]: row["rows"] for row in json.loads(str(artifact.data))}
    assert (table["format"], table["duplicate"]) == ("1", "0")
    assert str(artifact.description).startswith("My_voc.v2: quarantine. 21 rows in")
    assert done.rows_in == 21
