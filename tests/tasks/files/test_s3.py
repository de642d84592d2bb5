import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from configs.sources import FilesSource
from tasks.errors import SourceError, SourceUnreachable
from tasks.files.locate import identify_content, locate_files
from tasks.ingest.stage import make_snapshot

pytestmark = pytest.mark.slow
LINE = b'{"prompt": "hi %d", "completion": "yo"}\n'


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a served bucket ``data`` that holds a few keys."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    import boto3

    client = boto3.client("s3")
    client.create_bucket(
        Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    for key, body in {
        "chat/a-1.jsonl": LINE % 1,
        "chat/a-2.jsonl.gz": gzip.compress(LINE % 2),
        "chat/_b.jsonl": LINE % 3,
        "chat/b/c.jsonl": LINE % 4,
    }.items():
        client.put_object(Bucket="data", Key=key, Body=body)
    yield client
    for item in client.list_objects_v2(Bucket="data")["Contents"]:
        client.delete_object(Bucket="data", Key=item["Key"])
    client.delete_bucket(Bucket="data")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("s3://data/chat/a-1.jsonl", ["a-1.jsonl"]),
        ("s3://data/chat", ["a-1.jsonl", "a-2.jsonl.gz", "b/c.jsonl"]),
        ("s3://data/chat/", ["a-1.jsonl", "a-2.jsonl.gz", "b/c.jsonl"]),
        ("s3://data/chat/a-", ["a-1.jsonl", "a-2.jsonl.gz"]),
        ("s3://data/chat/a-*.gz", ["a-2.jsonl.gz"]),
        ("s3://data/**/c.jsonl", ["chat/b/c.jsonl"]),
    ],
)
def test_a_key_a_prefix_and_a_glob_mean_objects(bucket: Any, path: str, names: list[str]) -> None:
    assert [f.name for f in locate_files(path)] == names


def test_objects_are_read_into_a_snapshot(bucket: Any, temper_home: Path) -> None:
    source = TypeAdapter(FilesSource).validate_python(
        {"name": "s", "role": "general", "kind": "files", "path": "s3://data/chat"}
    )
    snapshot = make_snapshot(source)
    assert (snapshot.rows, snapshot.origin.uri) == (3, "s3://data/chat")
    assert make_snapshot(source) == snapshot
    bucket.put_object(Bucket="data", Key="chat/a-1.jsonl", Body=LINE % 9)
    assert make_snapshot(source).digest != snapshot.digest


def test_an_objects_identity_is_its_etag_and_size(bucket: Any) -> None:
    head = bucket.head_object(Bucket="data", Key="chat/a-1.jsonl")
    named = identify_content(locate_files("s3://data/chat/a-1.jsonl")[0])
    assert named == f"jsonl/None:{head['ETag']}:{head['ContentLength']}"


@pytest.mark.parametrize(
    ("path", "fix"), [("s3://data/chat/a-l.jsonl", "a-1.jsonl"), ("s3://data/chatt/x", "chat")]
)
def test_a_missing_object_says_what_is_nearby(bucket: Any, path: str, fix: str) -> None:
    with pytest.raises(SourceError, match="no such file or folder") as error:
        locate_files(path)
    assert fix in error.value.fix


def test_a_missing_bucket_is_an_error(bucket: Any) -> None:
    with pytest.raises(SourceError, match="s3://no-such-bucket/x.jsonl"):
        locate_files("s3://no-such-bucket/x.jsonl")


def test_a_store_that_does_not_answer_is_worth_another_try(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceUnreachable, match="AWS_ENDPOINT_URL"):
        locate_files("s3://data/chat/a-1.jsonl")
