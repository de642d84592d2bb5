"""What each check of texts finds and why that matters, and the part of a text that shows it."""

from functools import cache

from configs.quality import SECRET_KINDS
from tasks.quality.checks.engines import PatternEngine, redacted
from tasks.quality.checks.patterns import patterns
from tasks.quality.rules.explanations import EXPLANATIONS

_EXPLANATIONS = {
    "short": "The row's text is shorter than min_chars.",
    "mojibake": "The text was decoded with a wrong encoding, so that letters turned into others.",
    "language": "The row is in none of the languages that are wanted.",
    "unseen_label": "The label of this test row is in no training row, so it can't be learned.",
    "pii_email": "The row holds somebody's e-mail address.",
    "pii_phone": "The row holds a telephone number.",
    "pii_card": "The row holds a payment card's number, whose checksum holds.",
    "pii_iban": "The row holds a bank account's number (IBAN), whose checksum holds.",
    "pii_ip": "The row holds a public network address.",
    "secret_api_key": "The row holds a key or token of a service, which a model would give away.",
    "secret_private_key": "The row holds a private key, which a model would give away.",
    "secret_jwt": "The row holds a signed token (JWT), which a model would give away.",
    "secret_connection_string": "The row holds an address with a password in it.",
}


@cache
def explanations() -> dict[str, str]:
    """Return finding -> what it means, one sentence each."""
    rules = {name: text for family in EXPLANATIONS.values() for name, text in family.items()}
    return _EXPLANATIONS | rules


def shown(check: str, text: str) -> tuple[str, int]:
    """Return a text as an example may show it, and the place that shows why.

    Secrets are never shown, whatever check found the row; personal data is not where it is what
    was found.
    """
    kind = check.removeprefix("pii_").removeprefix("secret_")
    own = (kind,) if kind != check and kind in patterns() else ()
    engine = PatternEngine((*own, *(k for k in SECRET_KINDS if k not in own)))
    found = engine.spans(text)
    shorn = redacted(text, found)
    if check == "mojibake":
        return shorn, _unlikely(shorn)
    start = next((start for start, _, held in found if held in own), 0)
    return shorn, len(redacted(text[:start], [f for f in found if f[1] <= start]))


def _unlikely(text: str) -> int:
    from ftfy.badness import BADNESS_RE

    match = BADNESS_RE.search(text)
    return match.start() if match else 0
