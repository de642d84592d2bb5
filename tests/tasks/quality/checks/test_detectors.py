import sys
from types import ModuleType
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from pydantic import ValidationError

from configs.quality import PRESIDIO_KINDS, Personal
from tasks.errors import DataError
from tasks.quality.checks import detectors
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
    assert said.endswith(" key [API_KEY] of [EMAIL]")
    said, place = show_example("secret_api_key", text, "none")
    assert said[place:] == "[API_KEY] of [EMAIL]"


@pytest.mark.parametrize("kind", PRESIDIO_KINDS)
def test_a_kind_that_only_presidio_knows_needs_it(kind: Any) -> None:
    with pytest.raises(ValidationError, match="write engine: presidio"):
        Personal(kinds=(kind,))
    assert Personal(kinds=(kind, "email"), engine="presidio").kinds == (kind, "email")


def test_presidios_own_kinds_are_found_under_our_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class Result(NamedTuple):
        start: int
        end: int
        entity_type: str
        score: float

    class Analyzer:
        def analyze(self, text: str, language: str, entities: list[str]) -> list[Result]:
            assert "US_SSN" in entities
            assert "PERSON" in entities
            return [Result(0, 3, "PERSON", 0.9), Result(5, 8, "US_SSN", 0.8)]

    fake = ModuleType("presidio_analyzer")
    monkeypatch.setattr(fake, "AnalyzerEngine", Analyzer, raising=False)
    monkeypatch.setitem(sys.modules, "presidio_analyzer", fake)
    detectors._open_analyzer.cache_clear()
    engine = open_personal_detector(Personal(kinds=("person", "national_id"), engine="presidio"))
    assert engine.spans("Bob, 123") == [(0, 3, "person"), (5, 8, "national_id")]
    assert engine.candidates(pa.array(["no digit here"])).all()
    detectors._open_analyzer.cache_clear()
