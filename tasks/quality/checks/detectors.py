"""Two ways to look for personal data and secrets: own patterns, or Microsoft Presidio.

An engine says where a text holds what; finding rows and redacting them is the same for both.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from configs.quality import (
    PATTERN_KINDS,
    SECRET_KINDS,
    Personal,
    PersonalKind,
    Quality,
    SecretKind,
    Secrets,
    Severity,
)
from tasks.errors import DataError
from tasks.quality.checks.row_batch import CheckContext, RowBatch
from tasks.quality.checks.sensitive import find_spans, patterns
from tasks.quality.checks.texts import Flags, match_pattern

Span = tuple[int, int, str]
"""Start, end and kind of a find in a text."""

_ENTITIES: dict[PersonalKind, tuple[str, ...]] = {
    "email": ("EMAIL_ADDRESS",),
    "phone": ("PHONE_NUMBER",),
    "card": ("CREDIT_CARD",),
    "iban": ("IBAN_CODE",),
    "ip": ("IP_ADDRESS",),
    "person": ("PERSON",),
    "location": ("LOCATION",),
    "date": ("DATE_TIME",),
    "passport": ("US_PASSPORT", "IN_PASSPORT", "IT_PASSPORT"),
    "driver_licence": ("US_DRIVER_LICENSE", "IT_DRIVER_LICENSE"),
    "national_id": (
        "US_SSN",
        "ES_NIF",
        "ES_NIE",
        "IT_IDENTITY_CARD",
        "PL_PESEL",
        "SG_NRIC_FIN",
        "IN_AADHAAR",
        "IN_VOTER",
        "FI_PERSONAL_IDENTITY_CODE",
        "KR_RRN",
        "TH_TNIN",
        "UK_NINO",
    ),
    "tax_id": ("US_ITIN", "IT_FISCAL_CODE", "IT_VAT_CODE", "AU_TFN", "AU_ABN", "IN_PAN"),
    "health_id": ("UK_NHS", "AU_MEDICARE", "MEDICAL_LICENSE"),
    "bank_account": ("US_BANK_NUMBER",),
}
"""Presidio's own names of each kind, of several countries."""


class Detector(Protocol):
    """Looks for kinds of things in texts."""

    kinds: tuple[str, ...]

    def candidates(self, texts: Any) -> Flags:
        """Return which texts of an Arrow array may hold anything; all others hold nothing (n)."""

    def spans(self, text: str) -> list[Span]:
        """Return what a text holds, in order, without overlap."""


class PatternDetector:
    """Own patterns with checksums: quick, and the same on every machine."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self.kinds = tuple(kinds)
        self._patterns = [patterns()[kind] for kind in kinds]

    def candidates(self, texts: Any) -> Flags:
        """Return which texts a hint of any kind matches (n)."""
        if not self._patterns:
            return np.zeros(len(texts), dtype=bool)
        return match_pattern(texts, "|".join(f"(?:{pattern.hint})" for pattern in self._patterns))

    def spans(self, text: str) -> list[Span]:
        """Return what a text holds, in order; of two that overlap the first kind asked for."""
        found: list[Span] = []
        for pattern in self._patterns:
            for start, end in find_spans(text, pattern):
                if all(end <= a or start >= b for a, b, _ in found):
                    found.append((start, end, pattern.kind))
        return sorted(found)


class PresidioDetector:
    """Microsoft Presidio's recognizers, whose language model must be installed with them."""

    def __init__(self, kinds: Sequence[PersonalKind], min_score: float = 0.5) -> None:
        self.kinds: tuple[str, ...] = tuple(kinds)
        self._analyzer = _open_analyzer()
        self._names = {name: kind for kind in kinds for name in _ENTITIES[kind]}
        self._min_score = min_score
        # What has neither digits nor an at sign may still be a name or a place.
        self._hint = "" if {"person", "location", "date"} & set(kinds) else "[0-9@]"

    def candidates(self, texts: Any) -> Flags:
        """Return all texts that may hold a kind: most of them have a digit or an at sign (n)."""
        return match_pattern(texts, self._hint)

    def spans(self, text: str) -> list[Span]:
        """Return what a text holds, in order, without overlap."""
        results = self._analyzer.analyze(text=text, language="en", entities=list(self._names))
        found: list[Span] = []
        for result in sorted(results, key=lambda r: -r.score):
            free = all(result.end <= a or result.start >= b for a, b, _ in found)
            if free and result.score >= self._min_score:
                found.append((result.start, result.end, self._names[result.entity_type]))
        return sorted(found)


def open_personal_detector(section: Personal) -> Detector:
    """Return the engine that a recipe asks for.

    Raises:
        DataError: It asks for Presidio, which isn't installed.
    """
    if section.engine == "presidio":
        return PresidioDetector(section.kinds)
    return PatternDetector(section.kinds)


@cache
def _open_analyzer() -> Any:
    try:
        from presidio_analyzer import AnalyzerEngine
    except ImportError as error:
        raise DataError(
            "the engine 'presidio' is asked for, and Presidio isn't installed.",
            where="quality.pii.engine",
            fix="install the extra 'pii' (pip install 'temper-llm[pii]') and its language model, "
            "or write engine: patterns.",
        ) from error
    return AnalyzerEngine()


class Detections:
    """What an engine found in an array of texts.

    Attributes:
        spans: Place of a text -> what it holds; texts without anything are not in it.
    """

    def __init__(self, engine: Detector, texts: Any) -> None:
        places = np.flatnonzero(engine.candidates(texts))
        given = zip(places, texts.take(places).to_pylist(), strict=True)
        held = ((int(place), engine.spans(text)) for place, text in given)
        self.spans = {place: found for place, found in held if found}
        self._size = len(texts)

    def flags(self, kind: str) -> npt.NDArray[np.bool_]:
        """Return the texts that hold a kind (n)."""
        flags = np.zeros(self._size, dtype=bool)
        flags[[p for p, found in self.spans.items() if any(k == kind for *_, k in found)]] = True
        return flags


def redact_text(text: str, found: Sequence[Span]) -> str:
    """Return a text with the name of its kind in the place of each find: ``[EMAIL]``."""
    pieces, start = [], 0
    for first, end, kind in found:
        pieces += [text[start:first], f"[{kind.upper()}]"]
        start = end
    return "".join([*pieces, text[start:]])


def personal_severity(kind: PersonalKind) -> Callable[[Quality], Severity | None]:
    """Return what a recipe does with rows that hold personal data of a kind, as a function.

    None where it isn't looked for, or was redacted beforehand.
    """

    def severity(quality: Quality) -> Severity | None:
        section = quality.pii
        if section is None or kind not in section.kinds or section.action == "redact":
            return None
        return section.action

    return severity


def secret_severity(kind: SecretKind) -> Callable[[Quality], Severity | None]:
    """Return what a recipe does with rows that hold a secret of a kind, as a function."""

    def severity(quality: Quality) -> Severity | None:
        section = quality.secrets
        if section is None or kind not in section.kinds or section.action == "redact":
            return None
        return section.action

    return severity


def find_personal(kind: PersonalKind) -> Callable[[RowBatch], Flags]:
    """Return the check that finds the rows that hold personal data of a kind."""
    return lambda batch: batch.all_texts.rows_with(batch.share(_detect_personal).flags(kind))


def find_secret(kind: SecretKind) -> Callable[[RowBatch], Flags]:
    """Return the check that finds the rows that hold a secret of a kind."""
    return lambda batch: batch.all_texts.rows_with(batch.share(_detect_secrets).flags(kind))


def hide_secrets(text: str, kind: str = "") -> tuple[str, int]:
    """Return a text as it may be shown, and where it held something of a kind.

    Neither secrets nor personal data are shown, whatever check found the row.
    """
    own = (kind,) if kind in (*SECRET_KINDS, *PATTERN_KINDS) else ()
    others = (k for k in (*SECRET_KINDS, *PATTERN_KINDS) if k not in own)
    found = PatternDetector((*own, *others)).spans(text)
    start = next((start for start, _, held in found if held in own), 0)
    return redact_text(text, found), len(
        redact_text(text[:start], [f for f in found if f[1] <= start])
    )


def _detect_personal(batch: RowBatch) -> Detections:
    return Detections(batch.context.share(_personal_detector), batch.all_texts.distinct)


def _detect_secrets(batch: RowBatch) -> Detections:
    return Detections(batch.context.share(_secret_detector), batch.all_texts.distinct)


def _personal_detector(context: CheckContext) -> Detector:
    return open_personal_detector(context.quality.pii or Personal())


def _secret_detector(context: CheckContext) -> Detector:
    return PatternDetector((context.quality.secrets or Secrets()).kinds)
