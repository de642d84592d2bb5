import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.redaction import MASK, list_masked, redact, redact_logs, redact_value

SECRETS = {
    "aws key id": "AKIAQWERTYUIOPASDFGH",
    "aws secret": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "github": "ghp_" + "a1B2c3D4e5" * 4,
    "github fine-grained": "github_pat_" + "11ABCDEFG0" * 5,
    "gitlab": "glpat-abcdefghij1234567890",
    "slack": "xoxb-123456789012-abcdefABCDEF",
    "slack hook": "https://hooks.slack.com/services/T00000/B0000/XXXXXXXXXX",
    "openai": "sk-proj-" + "abcd1234" * 5,
    "anthropic": "sk-ant-api03-" + "Zz9_" * 10,
    "stripe": "sk_live_abcdefghij123456",
    "hugging face": "hf_" + "abcdefghijKLMNOPQRSTUVWXYZabcdefgh",
    "google": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "npm": "npm_" + "abcdefghij" * 4,
    "pypi": "pypi-AgEIcHlwaS5vcmcCJDU0",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "private key": "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA\n-----END PRIVATE KEY-----",
    "bearer": "Authorization: Bearer abcdefghijklmnop1234",
    "basic": "Authorization: Basic dXNlcjpwYXNzd29yZA==",
    "user of an address": "https://maria:hunter2pass@example.org/data.jsonl",
    "signature of an address": "s3.example.org/x?X-Amz-Signature=0123456789abcdef&page=2",
    "account key": "DefaultEndpointsProtocol=https;AccountKey=abcdefghijklmnop==;",
    "sendgrid": "SG.abcdefghijklmnopqrst.ABCDEFGHIJKLMNOPQRST",
    "password": "password: correct-horse-battery",
    "client secret": "client_secret='8f7e6d5c4b3a'",
    "api key": '{"api_key": "0a1b2c3d4e"}',
    "database": "postgresql://app:s3cr3tpw@db.internal:5432/train",
}
VALUES = {
    "aws secret": "wJalrXUtnFEMI",
    "slack hook": "XXXXXXXXXX",
    "private key": "MIIEowIBAAKCAQEA",
    "bearer": "abcdefghijklmnop1234",
    "basic": "dXNlcjpwYXNzd29yZA",
    "user of an address": "hunter2pass",
    "signature of an address": "0123456789abcdef",
    "account key": "abcdefghijklmnop",
    "password": "correct-horse",
    "client secret": "8f7e6d5c4b3a",
    "api key": "0a1b2c3d4e",
    "database": "s3cr3tpw",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_is_masked_wherever_it_stands(kind: str) -> None:
    secret, value = SECRETS[kind], VALUES.get(kind, SECRETS[kind])
    for text in (secret, f"see {secret}, then go on", f"path: '{secret}'\n"):
        assert value not in redact(text)
        assert MASK in redact(text)
    nested = {"sources": [{"path": secret, "columns": {"prompt": f"x {secret}"}}], secret: 1}
    assert value not in json.dumps(redact_value(nested))


@pytest.mark.parametrize("kind", SECRETS)
def test_masking_twice_is_masking_once(kind: str) -> None:
    assert redact(redact(SECRETS[kind])) == redact(SECRETS[kind])


@pytest.mark.parametrize(
    "text",
    [
        "max_new_tokens: 512000",
        "key_env: MY_JUDGE_KEY",
        "s3://bucket/prefix/part-0001.parquet",
        "https://example.org/a/b?page=2&split=train",
        "Give the password for {user}.",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "tokenizer: HuggingFaceTB/SmolLM2-135M",
        "sketch-of-the-whole-design",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_a_field_named_for_a_secret_is_masked_whatever_it_holds() -> None:
    given = {"hub": {"hf_token": "abc", "api-key": "k", "max_tokens": 9, "token": None}}
    assert redact_value(given) == {
        "hub": {"hf_token": MASK, "api-key": MASK, "max_tokens": 9, "token": None}
    }
    assert list_masked(given) == ["hub.hf_token", "hub.api-key"]


def test_what_the_environment_gave_is_masked_by_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_JUDGE_API_KEY", "plain words of mine")
    monkeypatch.setenv("SHORT_TOKEN", "on")
    assert redact("it said: plain words of mine, on and on") == f"it said: {MASK}, on and on"


def test_log_records_carry_none(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    try:
        redact_logs()
        redact_logs()
        logging.getLogger("x").warning("GET %s", "https://me:hunter2@host/x?token=abcdef12")
        assert caplog.records[-1].getMessage() == "GET https://***@host/x?token=***"
    finally:
        logging.setLogRecordFactory(before)


@given(st.text(alphabet="abc /:.,-", max_size=60))
def test_plain_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


def test_long_texts_take_no_time_that_grows_faster_than_they_do() -> None:
    # A pattern that looks back at each character would take hours for these.
    for text in (
        "a" * 10**6,
        "?" + "a" * 10**6,
        "token" * 10**5,
        "-----BEGIN PRIVATE KEY-----" * 10**4,
    ):
        redact(text)


def test_a_path_that_the_environment_names_is_no_secret_and_one_that_only_looks_so_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "google.json"
    key.touch()
    monkeypatch.setenv("PWD", str(tmp_path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("MY_STORE_SECRET", "/xY7+plain/base64words=")
    told = f"path: {tmp_path}/data.jsonl, key in {key}"
    assert redact(told) == told
    assert redact("it said /xY7+plain/base64words= to me") == f"it said {MASK} to me"
