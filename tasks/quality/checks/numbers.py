"""Checksums and ranges that tell a payment card, a bank account or an address from any number."""

import ipaddress
import re

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
