from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from configs.sources import HubSource
from tasks.errors import SourceError
from tasks.files.hub import HubSplit, read_hub
from tasks.ingest.stage import make_snapshot


def _place(path: Path | str, split: str = "train") -> HubSplit:
    return HubSplit(str(path), "0" * 40, None, split)


def _source(path: Path | str, **fields: Any) -> HubSource:
    base = {
        "name": "hubby",
        "role": "general",
        "kind": "hub",
        "path": str(path),
        "revision": "0" * 40,
    }
    return TypeAdapter(HubSource).validate_python(base | fields)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A data set as the hub lays it out: Parquet shards below data/, one set a split."""
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    for split, start in (("train-00000", 0), ("train-00001", 2), ("test-00000", 4)):
        rows = [
            {
                "messages": [
                    {"role": "user", "content": f"q{i}"},
                    {"role": "assistant", "content": f"a{i}"},
                ]
            }
            for i in range(start, start + 2)
        ]
        name = f"{split}-of-0000{2 if 'train' in split else 1}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), folder / "data" / name)
    return folder


def test_rows_of_the_asked_split_come_in_order(dataset: Path) -> None:
    rows = list(read_hub(_place(dataset)))
    assert [r["messages"][0]["content"] for _, r in rows] == ["q0", "q1", "q2", "q3"]
    assert rows[0][0] == f"{dataset}/train:1"
    assert len(list(read_hub(_place(dataset, "test")))) == 2


def test_a_hub_source_becomes_a_snapshot_with_its_commit(dataset: Path, temper_home: Path) -> None:
    snapshot = make_snapshot(_source(dataset))
    assert (snapshot.rows, snapshot.rejected, snapshot.origin.revision) == (4, 0, "0" * 40)


def test_a_split_that_is_not_there_is_an_error(dataset: Path) -> None:
    with pytest.raises(SourceError, match="can't be read") as error:
        list(read_hub(_place(dataset, "validation")))
    assert "hub_split" in error.value.fix


def test_a_data_set_out_of_reach_is_an_error_with_a_way_out() -> None:
    with pytest.raises(SourceError, match="nobody/nothing@000000000000") as error:
        list(read_hub(_place("nobody/nothing")))
    assert "kind: files" in error.value.fix
