"""What personal data and secrets look like, and what tells them from their like."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from tasks.quality.checks.numbers import is_card, is_iban, is_phone, is_public_address

_OCTETS = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_KEYS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",  # Amazon Web Services
    r"gh[pousr]_[A-Za-z0-9]{36,251}|github_pat_[A-Za-z0-9_]{60,251}",  # GitHub
    r"glpat-[A-Za-z0-9_-]{20,64}",  # GitLab
    r"xox[abeprs]-[A-Za-z0-9-]{20,251}|xapp-\d-[A-Z0-9]{8,}-\d{8,}-[a-f0-9]{32,}",  # Slack
    r"(?:sk|rk)_live_[A-Za-z0-9]{20,251}",  # Stripe
    r"AIza[0-9A-Za-z_-]{35}",  # Google
    r"sk-ant-[A-Za-z0-9_-]{32,251}",  # Anthropic
    r"sk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{40,251}",  # OpenAI
    r"hf_[A-Za-z0-9]{30,64}",  # Hugging Face
    r"npm_[A-Za-z0-9]{36}|pypi-AgEI[A-Za-z0-9_-]{50,251}",  # package registries
    r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",  # SendGrid
    r"\d{8,10}:AA[A-Za-z0-9_-]{33}",  # Telegram
    r"dop_v1_[a-f0-9]{64}",  # DigitalOcean
)


class Pattern(NamedTuple):
    """One kind of thing to look for.

    Attributes:
        kind: Its name; ``[KIND]`` stands in its place once redacted.
        hint: RE2 pattern that every text with it matches, and few others.
        pattern: What it looks like.
        accept: Whether a match is one; ``group("value")`` of the match is given where there is.
    """

    kind: str
    hint: str
    pattern: re.Pattern[str]
    accept: Callable[[str], bool]


def _anything(_: str) -> bool:
    return True


def _is_mailbox(text: str) -> bool:
    """Return whether an address may be somebody's: RFC 2606 sets names aside for examples."""
    host = text.rpartition("@")[2].lower()
    examples = re.fullmatch(
        r"(?:.*\.)?(?:example\.(?:com|org|net)|example|test|invalid|localhost)", host
    )
    return examples is None and not re.search(r"\.(?:png|jpe?g|gif|svg|webp)$", host)


def _is_key(text: str) -> bool:
    """Return whether a key is no placeholder: varied, with digits, not named an example."""
    if re.search(r"(?i)example|your[_-]?|x{6}|0{8}|1234567890?|abcdefg|placeholder", text):
        return False
    return len(set(text)) >= 10 and any(map(str.isdigit, text))


def _is_token(text: str) -> bool:
    """Return whether the first part of a JSON web token names an algorithm (RFC 7519)."""
    head = text.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(fields, dict) and "alg" in fields


def _is_password(text: str) -> bool:
    """Return whether a password is no placeholder such as <password>, $PASS or ***."""
    plain = text.strip("\"'").lower()
    words = {
        "password",
        "passwd",
        "pass",
        "pwd",
        "secret",
        "user",
        "username",
        "changeme",
        "example",
        "yourpassword",
        "mypassword",
        "token",
        "test",
        "admin",
        "root",
    }
    return (
        len(plain) >= 4 and plain not in words and not re.search(r"[<>${}*\[\]]|^x+$|your", plain)
    )


@cache
def patterns() -> dict[str, Pattern]:
    """Return every kind that can be looked for, by name."""
    made = (
        _made(
            "email",
            "@",
            r"(?<![\w.+%-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}"
            r"[A-Za-z]{2,24}(?![\w@-])",
            _is_mailbox,
        ),
        _made(
            "phone",
            r"\+[0-9]|[0-9][-. )]{1,2}[0-9]{3}[-. ][0-9]{4}",
            r"(?<![\w.+/-])(?:\+[1-9]\d{0,2}(?:[ .\-]?(?:\(\d{1,4}\)|\d{1,4})){2,6}"
            r"|(?:1[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4})"
            r"(?![\w/-]|\.\d)",
            is_phone,
        ),
        _made(
            "card",
            r"[0-9]{4}[ -]?[0-9]{4,6}[ -]?[0-9]{4,5}",
            r"(?<![\w.-])\d{4}(?:[ -]?\d){9,15}(?![\w-]|\.\d)",
            is_card,
        ),
        _made(
            "iban",
            r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}",
            r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)",
            is_iban,
        ),
        _made(
            "ip",
            r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:",
            rf"(?<![\w.:/-])(?:{_OCTETS}(?:\.{_OCTETS}){{3}}(?![\w-]|\.\d)"
            r"|(?:[0-9A-Fa-f]{1,4}:{1,2}){3,7}[0-9A-Fa-f]{1,4}(?![\w:]))",
            is_public_address,
        ),
        _made(
            "api_key",
            r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|k_live_|AIza|sk-|hf_"
            r"|npm_|pypi-AgEI|SG\.|[0-9]:AA|dop_v1_|(?i:aws_secret|accountkey)",
            rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_KEYS)})(?![A-Za-z0-9_])"
            r"|(?i:aws_?secret_?(?:access_?)?key|accountkey)[\"']?\s{0,2}[=:]\s{0,2}[\"']?"
            r"(?P<value>[A-Za-z0-9/+]{40,86}={0,2})(?![A-Za-z0-9/+])",
            _is_key,
        ),
        _made(
            "private_key",
            "PRIVATE KEY",
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]{0,200}\s)?"
            r"[A-Za-z0-9+/=\\\s]{64,}(?:-----END [A-Z0-9 ]{1,40}-----)?",
            _anything,
        ),
        _made("jwt", r"eyJ", r"(?<![\w.-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}", _is_token),
        _made(
            "connection_string",
            r"://[^\s/@]{1,80}:[^\s@]{3,80}@",
            r"\b[a-z][a-z0-9+.-]{1,30}://[^\s:/@]{1,64}:(?P<value>[^\s@/]{3,128})@[\w.-]+",
            _is_password,
        ),
    )
    return {pattern.kind: pattern for pattern in made}


def _made(kind: str, hint: str, pattern: str, accept: Callable[[str], bool]) -> Pattern:
    return Pattern(kind, hint, re.compile(pattern), accept)


def spans(text: str, pattern: Pattern) -> list[tuple[int, int]]:
    """Return where a text holds a kind of thing, start and end, in order."""
    found = []
    for match in pattern.pattern.finditer(text):
        group = "value" if "value" in match.re.groupindex and match.group("value") else 0
        if pattern.accept(match.group(group)):
            found.append(match.span(group))
    return found
