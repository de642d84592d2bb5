import sys

import pyarrow as pa
import pytest

from configs.quality import Personal
from tasks.errors import DataError
from tasks.quality.checks.detectors import (
    Detections,
    PatternDetector,
    open_personal_detector,
    redact_text,
)
from tasks.quality.checks.registry import show_example


def test_flags_name_the_texts_that_hold_a_kind() -> None:
    texts = pa.array(["nothing", "bob@gmail.com", "call +49 30 901820 or bob@gmail.com", ""])
    found = Detections(PatternDetector(("email", "phone")), texts)
    assert found.flags("email").tolist() == [False, True, True, False]
    assert found.flags("phone").tolist() == [False, False, True, False]


def test_redacting_writes_the_kind_in_place_of_each_find() -> None:
    engine = PatternDetector(("email", "phone"))
    text = "Ask bob@gmail.com (+49 30 901820), not amy@gmail.com."
    assert redact_text(text, engine.spans(text)) == "Ask [EMAIL] ([PHONE]), not [EMAIL]."


def test_finds_of_several_kinds_never_overlap() -> None:
    text = "4111 1111 1111 1111 postgres://bob:bob@gmail.com/x"
    ends = [0]
    for start, end, _ in PatternDetector(("phone", "card", "email", "connection_string")).spans(
        text
    ):
        assert start >= ends[-1]
        ends.append(end)


def test_presidio_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(DataError, match="isn't installed") as caught:
        open_personal_detector(Personal(engine="presidio"))
    assert "[pii]" in str(caught.value)


def test_an_example_shows_where_and_hides_secrets() -> None:
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    text = "x" * 500 + f" key {key} of bob@gmail.com"
    said, place = show_example("pii_email", text, "none")
    assert key not in said
    assert said[place:] == "[EMAIL]"
    said, place = show_example("duplicate", text, "none")
    assert "bob@gmail.com" in said
    assert key not in said
    said, place = show_example("secret_api_key", text, "none")
    assert said[place:].startswith("[API_KEY] of bob")
