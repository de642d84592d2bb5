"""What is looked for in texts beyond their form: personal data, secrets, languages."""

from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeInt

from configs.section import Section

PersonalKind = Literal["email", "phone", "card", "iban", "ip"]
SecretKind = Literal["api_key", "private_key", "jwt", "connection_string"]
Action = Literal["report", "redact", "quarantine"]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
"""A language as ISO 639-1 names it."""

PERSONAL_KINDS: tuple[PersonalKind, ...] = get_args(PersonalKind)
SECRET_KINDS: tuple[SecretKind, ...] = get_args(SecretKind)


class Personal(Section):
    """Personal data. Reported by default: chat rows hold made-up addresses and numbers, too."""

    kinds: tuple[PersonalKind, ...] = PERSONAL_KINDS
    action: Action = "report"
    engine: Literal["patterns", "presidio"] = Field(
        "patterns", description="presidio: Microsoft Presidio's recognizers (extra 'pii')"
    )


class Secrets(Section):
    """Keys and passwords. Quarantined by default: what is found is rarely anything else."""

    kinds: tuple[SecretKind, ...] = SECRET_KINDS
    action: Action = "quarantine"


class Mojibake(Section):
    """Text that was decoded with a wrong encoding, as ftfy counts it."""

    max_badness: NonNegativeInt = Field(1, description="unlikely pairs of characters of a text")
    max_share: float = Field(0.05, ge=0, le=1, description="of them a character of a text")
    action: Literal["report", "quarantine"] = "quarantine"


class LanguageLimits(Section):
    """When a row's language is sure enough to find the row by."""

    min_chars: NonNegativeInt = Field(60, description="shorter rows are never found")
    min_confidence: float = Field(0.5, ge=0, le=1, description="below it a row is not found")
    action: Literal["report", "quarantine"] = "quarantine"
