"""What personal data and secrets look like, and what tells them from their like."""

import base64
import binascii
import ipaddress
import json
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

_IBAN_LENGTHS = {
    "AD": 24,
    "AE": 23,
    "AL": 28,
    "AT": 20,
    "AZ": 28,
    "BA": 20,
    "BE": 16,
    "BG": 22,
    "BH": 22,
    "BR": 29,
    "CH": 21,
    "CR": 22,
    "CY": 28,
    "CZ": 24,
    "DE": 22,
    "DK": 18,
    "DO": 28,
    "EE": 20,
    "EG": 29,
    "ES": 24,
    "FI": 18,
    "FO": 18,
    "FR": 27,
    "GB": 22,
    "GE": 22,
    "GI": 23,
    "GL": 18,
    "GR": 27,
    "GT": 28,
    "HR": 21,
    "HU": 28,
    "IE": 22,
    "IL": 23,
    "IS": 26,
    "IT": 27,
    "JO": 30,
    "KW": 30,
    "KZ": 20,
    "LB": 28,
    "LI": 21,
    "LT": 20,
    "LU": 20,
    "LV": 21,
    "MC": 27,
    "MD": 24,
    "ME": 22,
    "MK": 19,
    "MR": 27,
    "MT": 31,
    "MU": 30,
    "NL": 18,
    "NO": 15,
    "PK": 24,
    "PL": 28,
    "PS": 29,
    "PT": 25,
    "QA": 29,
    "RO": 24,
    "RS": 22,
    "SA": 24,
    "SE": 24,
    "SI": 19,
    "SK": 24,
    "SM": 27,
    "TN": 24,
    "TR": 26,
    "UA": 29,
    "VA": 22,
    "VG": 24,
    "XK": 20,
}
"""Characters of an account number, by country (ISO 13616 registry)."""

_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}"
    r"|62\d{14,17}"
)
"""The issuers' leading digits and lengths: Visa, Mastercard, American Express, Diners, Discover,
JCB, UnionPay."""


def is_card(text: str) -> bool:
    """Return whether digits are a payment card's: an issuer's, and the checksum holds."""
    digits = re.sub(r"\D", "", text)
    return bool(_CARD.fullmatch(digits)) and len(set(digits)) > 1 and luhn(digits)


def luhn(digits: str) -> bool:
    """Return whether the last digit is the checksum of the others (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Return whether a text is an account number: its country's length, remainder 1 by 97."""
    plain = text.replace(" ", "")
    if _IBAN_LENGTHS.get(plain[:2]) != len(plain):
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def is_public_address(text: str) -> bool:
    """Return whether a text is an IP address that may belong to somebody's connection.

    Private, reserved and documentation ranges belong to nobody; four small numbers such as 4.12.0.1
    are more often a version.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        parts = [int(part) for part in text.split(".")]
        return address.is_global and not address.is_multicast and max(parts) > 31
    return address.is_global and text.count(":") >= 3 and any(map(str.isdigit, text))


def is_phone(text: str) -> bool:
    """Return whether digits can be a telephone number: 8 to 15 after a +, else ten of America's.

    Numbers set aside for fiction (555-0100 to 555-0199) are nobody's.
    """
    digits = re.sub(r"\D", "", text)
    if len(set(digits)) <= 2:
        return False
    if text.lstrip().startswith("+") and not digits.startswith("1"):
        return 8 <= len(digits) <= 15
    local = digits.removeprefix("1") if len(digits) == 11 else digits
    return len(local) == 10 and not re.fullmatch(r"\d{3}55501\d\d", local)


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


def _is_placeholder(text: str) -> bool:
    return bool(
        re.search(r"(?i)example|your[_-]?|x{6}|0{8}|1234567890?|abcdefg|placeholder|\*{3}", text)
    )


def _is_key(text: str) -> bool:
    """Return whether a key is no placeholder: varied, not words, not named an example.

    A key without digits is told from words by its prefix and its letters of both cases.
    """
    if _is_placeholder(text) or len(set(text)) < 10:
        return False
    body = re.fullmatch(r"[a-z]{2,5}_([A-Za-z0-9]{20,})", text)
    mixed = body is not None and len(re.findall("[a-z][A-Z]", body[1])) >= 3
    return mixed or any(map(str.isdigit, text))


_CODE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+|.*[(\[{].*|.*://.*|.*[$%]\{?[A-Za-z_].*")


def _is_credential(text: str) -> bool:
    """Return whether what stands beside the name of a secret is one: no word, code or stand-in."""
    plain = text.strip("\"'`.,;")
    if len(plain) < 6 or _is_placeholder(plain) or _CODE.fullmatch(plain):
        return False
    letters, digits = any(map(str.isalpha, plain)), any(map(str.isdigit, plain))
    signs = re.search(r"[!@#%^&*+?~]", plain)
    return letters and len(set(plain)) >= 5 and bool(digits or signs) and _is_password(plain)


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
        _build_pattern(
            "email",
            "@",
            r"(?<![\w.+%-])[A-Za-z0-9][\w.+%-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,5}"
            r"[A-Za-z]{2,24}(?![\w@-])",
            _is_mailbox,
        ),
        _build_pattern(
            "phone",
            r"\+[0-9]|[0-9][-. )]{1,2}[0-9]{3}[-. ][0-9]{4}",
            r"(?<![\w.+/-])(?:\+[1-9]\d{0,2}(?:[ .\-]?(?:\(\d{1,4}\)|\d{1,4})){2,6}"
            r"|(?:1[-. ])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4})"
            r"(?![\w/-]|\.\d)",
            is_phone,
        ),
        _build_pattern(
            "card",
            r"[0-9]{4}[ -]?[0-9]{4,6}[ -]?[0-9]{4,5}",
            r"(?<![\w.-])\d{4}(?:[ -]?\d){9,15}(?![\w-]|\.\d)",
            is_card,
        ),
        _build_pattern(
            "iban",
            r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}",
            r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)",
            is_iban,
        ),
        _build_pattern(
            "ip",
            r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:",
            rf"(?<![\w.:/-])(?:{_OCTETS}(?:\.{_OCTETS}){{3}}(?![\w-]|\.\d)"
            r"|(?:[0-9A-Fa-f]{1,4}:{1,2}){3,7}[0-9A-Fa-f]{1,4}(?![\w:]))",
            is_public_address,
        ),
        _build_pattern(
            "api_key",
            r"AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|k_live_|AIza|sk-|hf_"
            r"|npm_|pypi-AgEI|SG\.|[0-9]:AA|dop_v1_|(?i:aws_secret|accountkey)",
            rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_KEYS)})(?![A-Za-z0-9_])"
            r"|(?i:aws_?secret_?(?:access_?)?key|accountkey)[\"']?\s{0,2}[=:]\s{0,2}[\"']?"
            r"(?P<value>[A-Za-z0-9/+]{40,86}={0,2})(?![A-Za-z0-9/+])",
            _is_key,
        ),
        _build_pattern(
            "private_key",
            "PRIVATE KEY",
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:[^-]{0,200}\s)?"
            r"[A-Za-z0-9+/=\\\s]{64,}(?:-----END [A-Z0-9 ]{1,40}-----)?",
            _anything,
        ),
        _build_pattern(
            "jwt", r"eyJ", r"(?<![\w.-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}", _is_token
        ),
        _build_pattern(
            "connection_string",
            r"://[^\s/@]{1,80}:[^\s@]{3,80}@",
            r"\b[a-z][a-z0-9+.-]{1,30}://[^\s:/@]{1,64}:(?P<value>[^\s@/]{3,128})@[\w.-]+",
            _is_password,
        ),
        _build_pattern(
            "credential",
            r"(?i:passw|passphrase|passwd|pwd|api.?key|secret|token|access.?key|bearer)",
            r"(?i:(?<![A-Za-z])(?:pass(?:word|wd|phrase)|pwd"
            r"|(?:api|access|secret|private|account)[ _-]?key|client[ _-]?secret"
            r"|(?:auth|access|refresh|api|bearer|secret)[ _-]?token|secret|token)"
            r"[\"'`]?[ \t]{0,3}(?:[:=]|=>|:=| is )[ \t]{0,3}|(?<![A-Za-z])bearer[ \t]{1,3})"
            r"[\"'`]?(?P<value>[^\s\"'`<>,;]{6,512})",
            _is_credential,
        ),
    )
    return {pattern.kind: pattern for pattern in made}


def _build_pattern(kind: str, hint: str, pattern: str, accept: Callable[[str], bool]) -> Pattern:
    return Pattern(kind, hint, re.compile(pattern), accept)


def find_spans(text: str, pattern: Pattern) -> list[tuple[int, int]]:
    """Return where a text holds a kind of thing, start and end, in order."""
    found = []
    for match in pattern.pattern.finditer(text):
        group = "value" if "value" in match.re.groupindex and match.group("value") else 0
        if pattern.accept(match.group(group)):
            found.append(match.span(group))
    return found
