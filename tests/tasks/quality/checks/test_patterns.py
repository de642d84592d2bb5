"""Secrets are put together here, so that no tool takes this file for a leak."""

import base64
import json

import pytest

from tasks.quality.checks.patterns import patterns, spans

MIXED = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0"
HEAD = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).decode()
BODY = base64.urlsafe_b64encode(json.dumps({"sub": "12345", "name": "J"}).encode()).decode()
TOKEN = f"{HEAD}.{BODY.strip('=')}.{MIXED}"
KEY = "RSA " + "PRIVATE KEY-----"
PEM = f"-----BEGIN {KEY}\n{MIXED * 4}\n-----END {KEY}"

HELD = {
    "email": ["bob.smith@gmail.com", "x_y+z@mail.uni-ulm.de"],
    "phone": ["+49 30 901820", "(212) 736-5000", "212-736-5000", "+1 212 736 5000"],
    "card": ["4111 1111 1111 1111", "5555555555554444"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"],
    "ip": ["93.184.216.34", "2a00:1450:4001:80b::200e"],
    "api_key": [
        "AKIA" + "J7QZ3LDP5WXN2RTB",
        "ghp_" + MIXED[:36],
        "sk-" + "proj-" + MIXED * 2,
        "sk-ant-" + MIXED,
        "AIza" + MIXED[:35],
        "hf_" + MIXED[:34],
        "glpat-" + MIXED[:20],
        "xoxb-" + "417590284613-" + MIXED,
        "sk_live_" + MIXED[:24],
        "npm_" + MIXED[:36],
    ],
    "private_key": [PEM],
    "jwt": [TOKEN],
}


@pytest.mark.parametrize(("kind", "held"), [(k, h) for k, all_ in HELD.items() for h in all_])
def test_what_is_looked_for_is_found_where_it_stands(kind: str, held: str) -> None:
    text = f"Before {held}, and after."
    assert [text[a:b] for a, b in spans(text, patterns()[kind])] == [held]


@pytest.mark.parametrize(("kind", "held"), [(k, h) for k, all_ in HELD.items() for h in all_])
def test_a_hint_matches_wherever_its_pattern_does(kind: str, held: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.match_substring_regex(
        pa.array([f"Before {held}, and after."]), patterns()[kind].hint
    )
    assert found[0].as_py()


def test_only_the_password_of_a_connection_is_found() -> None:
    text = "use postgres://bob:h8Gd-2kd9@db.local:5432/app now"
    found = spans(text, patterns()["connection_string"])
    assert [text[a:b] for a, b in found] == ["h8Gd-2kd9"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to jane@example.com or me@host or logo@2x.png"),
        ("phone", "12345678901 and 2021-05-17 and 3.14159265358 and 100-200-300 and 212-555-0143"),
        ("phone", "it was 1,234-5,678 in 1990-1995, or 555-1234"),
        ("card", "order 1234567890123456 and 4111111111111112 and 0000 0000 0000 0000"),
        ("iban", "DE89 3704 0044 0532 0130 01 or AB12 3456"),
        ("ip", "version 1.2.3.4 at 192.168.0.1 or 10:20:30:40 and std::vector::at"),
        ("api_key", "AKIA" + "IOSFODNN7EXAMPLE, sk-your-api-key-goes-here-xxxxxxxxxxxxxxxxxxxxxx"),
        ("api_key", "a task-oriented-desk-side-and-also-rather-long-hyphenated-compound-word"),
        ("private_key", "A file starts with -----BEGIN PRIVATE KEY----- and then the key."),
        ("jwt", "eyJoZWxsbyI6IHRydWV9.eyJoZWxsbyI6IHRydWV9.aaaaaaaaaaaaaaaaaaaa"),
        ("connection_string", "postgres://user:password@host and redis://u:${PASS}@h"),
    ],
)
def test_what_only_looks_alike_is_left(kind: str, text: str) -> None:
    assert spans(text, patterns()[kind]) == []


def test_a_long_text_without_finds_takes_no_time_to_speak_of() -> None:
    hard = [
        "a" * 50_000,
        "1 " * 50_000,
        "a@" * 30_000,
        "A1" * 30_000,
        "1:" * 30_000,
        "a." * 30_000,
        "-----BEGIN " * 5_000,
        "eyJ" * 20_000,
        "http://a:" * 10_000,
    ]
    for text in hard:
        for pattern in patterns().values():
            spans(text, pattern)
