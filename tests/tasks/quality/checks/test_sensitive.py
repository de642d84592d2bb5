"""Secrets are put together here, so that no tool takes this file for a leak."""

import base64
import json
import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tasks.quality.checks.sensitive import (
    find_spans,
    is_card,
    is_iban,
    is_phone,
    is_public_address,
    luhn,
    patterns,
)

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
    assert [text[a:b] for a, b in find_spans(text, patterns()[kind])] == [held]


@pytest.mark.parametrize(("kind", "held"), [(k, h) for k, all_ in HELD.items() for h in all_])
def test_a_hint_matches_wherever_its_pattern_does(kind: str, held: str) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.match_substring_regex(
        pa.array([f"Before {held}, and after."]), patterns()[kind].hint
    )
    assert found[0].as_py()


@pytest.mark.parametrize(
    "text",
    [
        "password: {}",
        "Password = {}",
        'the PASSWORD is "{}", he said',
        "pwd={}",
        "passphrase: {}",
        "api_key={}",
        "API key: {}",
        '"apiKey": "{}"',
        "client_secret={}&x=1",
        "client secret: {}",
        "access_token => {}",
        "Authorization: Bearer {}",
        "authorization: bearer {}",
        "SECRET_KEY='{}'",
    ],
)
@pytest.mark.parametrize("value", ["Tr0ub4dor-3x", MIXED, "h8Gd!2kd9", "8f7a9d2c4b1e"])
def test_a_value_beside_the_name_of_a_secret_is_found(text: str, value: str) -> None:
    text = text.format(value)
    # What follows an ampersand may be part of a password.
    assert any(text[a:b].startswith(value) for a, b in find_spans(text, patterns()["credential"]))


@given(st.text(string.ascii_letters, min_size=34, max_size=34))
def test_a_token_of_letters_alone_is_found(body: str) -> None:
    assume(len(set(body)) >= 12 and len(re.findall("[a-z][A-Z]", body)) >= 3)
    text = f"use hf_{body} here"
    assert [text[a:b] for a, b in find_spans(text, patterns()["api_key"])] == [f"hf_{body}"]


def test_only_the_password_of_a_connection_is_found() -> None:
    text = "use postgres://bob:h8Gd-2kd9@db.local:5432/app now"
    found = find_spans(text, patterns()["connection_string"])
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
        (
            "api_key",
            "hf_transfer_is_a_package_for_fast_downloads, or hf_hub_download_with_retries",
        ),
        ("credential", "Password: must be long, and a token: string; the secret is outside"),
        ("credential", "password = os.environ['DB'], token=get_token(), secret=settings.SECRET_2"),
        ("credential", "password: ******** or <password> or $PASSWORD1 or ${PASS1} or changeme"),
        ("credential", "the bearer of this ring, bearer bonds; api key: your-api-key-1"),
        ("credential", "reset your password: https://shop.test/reset?id=12"),
        ("connection_string", "postgres://user:password@host and redis://u:${PASS}@h"),
    ],
)
def test_what_only_looks_alike_is_left(kind: str, text: str) -> None:
    assert find_spans(text, patterns()[kind]) == []


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
            find_spans(text, pattern)


DIGITS = st.text("0123456789", min_size=2, max_size=30)


@given(DIGITS)
def test_exactly_one_last_digit_makes_the_checksum_hold(digits: str) -> None:
    assert sum(luhn(digits + str(last)) for last in range(10)) == 1


@given(DIGITS, st.data())
def test_changing_one_digit_breaks_the_checksum(digits: str, data: st.DataObject) -> None:
    whole = next(digits + str(last) for last in range(10) if luhn(digits + str(last)))
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.sampled_from([d for d in "0123456789" if d != whole[place]]))
    assert not luhn(whole[:place] + other + whole[place + 1 :])


@given(st.text("0123456789", min_size=18, max_size=18))
def test_a_german_account_number_with_its_check_digits_is_an_iban(account: str) -> None:
    check = 98 - int(account + "131400") % 97
    assert is_iban(f"DE{check:02d}{account}")
    assert not is_iban(f"DE{(check + 1) % 100:02d}{account}")
    assert not is_iban(f"FR{check:02d}{account}")


@pytest.mark.parametrize(
    "number", ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"]
)
def test_a_card_of_a_known_issuer_is_a_card(number: str) -> None:
    assert is_card(number)


@pytest.mark.parametrize("number", ["4111 1111 1111 1112", "9111111111111119", "0000000000000000"])
def test_another_number_is_no_card(number: str) -> None:
    assert not is_card(number)


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("8.8.8.8", False),
        ("93.184.216.34", True),
        ("192.168.0.1", False),
        ("127.0.0.1", False),
        ("1.2.3.4", False),
        ("203.0.113.9", False),
        ("2a00:1450:4001:80b::200e", True),
        ("2001:db8:1:2::3", False),
        ("12:30:45", False),
    ],
)
def test_only_addresses_that_may_be_somebodys_are_public(text: str, public: bool) -> None:
    assert is_public_address(text) is public


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("+49 30 901820", True),
        ("(212) 736-5000", True),
        ("212-555-0143", False),
        ("+1 212 736 5000", True),
        ("+111111111", False),
        ("+12 34", False),
    ],
)
def test_telephone_numbers_have_enough_digits_and_belong_to_somebody(
    text: str, phone: bool
) -> None:
    assert is_phone(text) is phone
