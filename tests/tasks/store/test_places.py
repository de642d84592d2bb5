"""Which region S3 is called in."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import SetupError, StorageError
from tasks.store.places import (
    BlobStore,
    FolderStore,
    S3Store,
    address_of,
    fetch,
    files_below,
    open_store,
    publish,
)


@pytest.fixture(autouse=True)
def regionless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where neither the environment nor a profile names a region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def test_the_region_given_is_called_where_the_machine_has_none() -> None:
    place = open_store("s3://bucket/store", region="eu-west-1")
    assert isinstance(place, S3Store)
    assert place.client.meta.region_name == "eu-west-1"


def test_the_region_given_is_called_where_the_machine_has_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert S3Store("s3://bucket", region="eu-west-1").client.meta.region_name == "eu-west-1"
    assert S3Store("s3://bucket").client.meta.region_name == "us-east-1"


def test_with_no_region_at_all_the_fix_is_named() -> None:
    with pytest.raises(SetupError, match="AWS_REGION"):
        _ = S3Store("s3://bucket").client


@pytest.fixture(params=["folder", "s3"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BlobStore:
    """An empty store of each kind."""
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    for name, value in {
        "AWS_ENDPOINT_URL": request.getfixturevalue("moto_address"),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    found = open_store(f"s3://temper-{tmp_path.name.replace('_', '-')[:40]}/store")
    assert isinstance(found, S3Store)
    found.client.create_bucket(Bucket=found.bucket)
    return found


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.bin", "deep/b.bin", ".hidden", "manifest.json"):
        (folder / name).write_bytes(name.encode() * 1000)
    return files_below(folder)


def test_what_is_published_is_fetched_as_it_was(
    place: BlobStore, files: dict[str, Path], tmp_path: Path
) -> None:
    assert set(files) == {"a.bin", "deep/b.bin"}
    made = publish("mixtures", "d" * 64, files, place)
    assert made.uploaded == 2
    assert made.uri == place.uri(address_of("mixtures", "d" * 64, files)[0])
    fetch(made.uri, tmp_path / "there")
    assert {n: (tmp_path / "there" / n).read_bytes() for n in files} == {
        n: f.read_bytes() for n, f in files.items()
    }


def test_publishing_again_uploads_nothing(place: BlobStore, files: dict[str, Path]) -> None:
    first = publish("mixtures", "d" * 64, files, place)
    assert publish("mixtures", "d" * 64, files, place) == (first.uri, 0)


def test_a_publication_broken_off_goes_on_where_it_was(
    place: BlobStore, files: dict[str, Path], tmp_path: Path
) -> None:
    key, _ = address_of("mixtures", "d" * 64, files)
    place.put(f"{key}/a.bin", files["a.bin"])
    with pytest.raises(StorageError, match="nothing is published"):
        fetch(place.uri(key), tmp_path / "early")
    assert publish("mixtures", "d" * 64, files, place).uploaded == 1
    fetch(place.uri(key), tmp_path / "late")


def test_other_bytes_of_the_same_digest_lie_elsewhere(
    place: BlobStore, files: dict[str, Path]
) -> None:
    first = publish("mixtures", "d" * 64, files, place)
    files["a.bin"].write_bytes(b"other")
    second = publish("mixtures", "d" * 64, files, place)
    assert first.uri != second.uri
    assert second.uploaded == 2


def test_a_file_that_changed_in_the_store_is_found_out(
    place: BlobStore, files: dict[str, Path], tmp_path: Path
) -> None:
    made = publish("mixtures", "d" * 64, files, place)
    other = tmp_path / "other"
    other.write_bytes(b"x" * 5000)
    place.put(f"{address_of('mixtures', 'd' * 64, files)[0]}/a.bin", other)
    with pytest.raises(StorageError, match="isn't what its manifest says"):
        fetch(made.uri, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_manifest_that_leads_outside_is_refused(place: BlobStore, tmp_path: Path) -> None:
    record = {"files": {"../../evil": {"sha256": "0", "bytes": 1}}}
    place.put_once("bad/manifest.json", json.dumps(record).encode())
    with pytest.raises(StorageError, match="outside its folder"):
        fetch(place.uri("bad"), tmp_path / "there")


def test_of_many_that_write_once_one_wins(place: BlobStore) -> None:
    won = list[bool]()

    def write(content: bytes) -> None:
        won.append(place.put_once("race", content))

    threads = [threading.Thread(target=write, args=(b"%d" % i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert place.read("race") in [b"%d" % i for i in range(8)]


def test_what_is_not_there_is_told(place: BlobStore, tmp_path: Path) -> None:
    assert place.read("nothing") is None
    with pytest.raises(StorageError, match="no such published file"):
        place.get("nothing", tmp_path / "x")


def test_the_store_has_to_be_set_and_be_one_we_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TEMPER_STORE", raising=False)
    with pytest.raises(SetupError, match="TEMPER_STORE isn't set"):
        open_store()
    with pytest.raises(StorageError, match="S3 or to a folder"):
        open_store("gs://bucket")
    monkeypatch.setenv("TEMPER_STORE", str(tmp_path))
    assert isinstance(open_store(), FolderStore)


def test_a_bucket_that_is_not_there_is_told_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, moto_address: str
) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": moto_address,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "t",
        "AWS_SECRET_ACCESS_KEY": "t",
    }.items():
        monkeypatch.setenv(name, value)
    place: Any = open_store("s3://temper-nowhere/x")
    with pytest.raises(SetupError, match=r"NoSuchBucket.*create the bucket"):
        place.put_once("k", b"1")
