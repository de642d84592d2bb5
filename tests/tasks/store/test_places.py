"""Which region S3 is called in."""

from pathlib import Path

import pytest

from tasks.errors import SetupError
from tasks.store.places import S3Place, open_place


@pytest.fixture(autouse=True)
def regionless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine where neither the environment nor a profile names a region."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))


def test_the_region_given_is_called_where_the_machine_has_none() -> None:
    place = open_place("s3://bucket/store", region="eu-west-1")
    assert isinstance(place, S3Place)
    assert place.client.meta.region_name == "eu-west-1"


def test_the_region_given_is_called_where_the_machine_has_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert S3Place("s3://bucket", region="eu-west-1").client.meta.region_name == "eu-west-1"
    assert S3Place("s3://bucket").client.meta.region_name == "us-east-1"


def test_with_no_region_at_all_the_fix_is_named() -> None:
    with pytest.raises(SetupError, match="AWS_REGION"):
        _ = S3Place("s3://bucket").client
