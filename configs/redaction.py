"""What leaves the process has no secrets in it: one function for every border.

Locks, receipts, cards, pages, MLflow, Prefect, job files, logs and errors all go through it.
A secret is known by its own form (``hf_...``), by the name it stands after (``password=...``), by
its place in an address, or because this process was given it in its environment.
"""

import logging
import os
import re
from collections.abc import Mapping
from typing import Any

MASK = "***"
SHORTEST = 8
"""Characters of an environment variable's value that is looked for: shorter ones are words."""

_NAMES = (
    r"(?:token|secret|passw(?:or)?d|pwd|passphrase|api[_\-]?key|access[_\-]?key(?:[_\-]?id)?"
    r"|account[_\-]?key|private[_\-]?key|secret[_\-]?key|signing[_\-]?key|credentials?"
    r"|authorization|connection[_\-]?string)"
)
_KEY = re.compile(_NAMES + r"$", re.IGNORECASE)
_FORMS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"
    r"|\bgh[opusr]_[A-Za-z0-9]{16,}|\bgithub_pat_\w{16,}|\bgl(?:pat|dt|rt|cbt)-[\w\-]{16,}"
    r"|\bxox[a-z]-[\w\-]{8,}|\bxapp-[\w\-]{8,}|(?<=hooks\.slack\.com/services/)[\w/]+"
    r"|\bsk-[A-Za-z0-9_\-]{16,}|\b[rsp]k_(?:live|test)_[A-Za-z0-9]{8,}|\bwhsec_[A-Za-z0-9+/=]{16,}"
    r"|\bhf_[A-Za-z0-9]{16,}|\bapi_org_[A-Za-z0-9]{16,}"
    r"|\bAIza[\w\-]{30,}|\bya29\.[\w\-.]{16,}|\bGOCSPX-[\w\-]{16,}"
    r"|\bnpm_[A-Za-z0-9]{16,}|\bpypi-[\w\-]{16,}|\bdckr_pat_[\w\-]{16,}"
    r"|\bdop_v1_[a-f0-9]{32,}|\bdapi[a-f0-9]{32}(?:-\d+)?\b|\bnvapi-[\w\-]{16,}"
    r"|\bgsk_[A-Za-z0-9]{16,}|\br8_[A-Za-z0-9]{16,}|\bpplx-[A-Za-z0-9]{16,}|\bxai-[A-Za-z0-9]{16,}"
    r"|\bSG\.[\w\-]{16,}\.[\w\-]{16,}|\bSK[0-9a-f]{32}\b|\bkey-[0-9a-f]{32}\b"
    r"|\b\d{8,10}:[A-Za-z0-9_\-]{35}\b|\bshp(?:at|ss|ca|pa)_[a-fA-F0-9]{32}\b"
    r"|\beyJ[\w\-]{8,}\.[\w\-]{8,}(?:\.[\w\-]*)?|\bAGE-SECRET-KEY-1[0-9A-Z]{20,}",
    re.DOTALL,
)
_HEADER = re.compile(
    r"(?P<start>\b(?:Bearer|Basic|Digest|ApiKey|Token)\s+)[A-Za-z0-9._~+/=\-]{12,}", re.IGNORECASE
)
_USER = re.compile(r"(?<=://)[^/\s\"'<>?#]+@")
_QUERY = re.compile(
    r"(?P<start>[?&;][\w\-.%]*(?:token|secret|signature|sig|passw(?:or)?d|pwd|key|credential|auth"
    r"|code)(?:id)?=)[^&;\s\"',}\]<>]+",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(
    rf"(?P<start>{_NAMES}[\"']?\s*(?:=|:|=>)\s*)"
    r"(?:(?P<quote>[\"'])(?!\*\*\*)[^\"'\n]{4,}(?P=quote)"
    r"|(?!\*\*\*)(?![{\[<$|>\"'])[^\s\"',;&}\]]{6,})",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """Return whether a field of that name holds a secret: a token, password or key."""
    return _KEY.search(name) is not None


def redact(text: str) -> str:
    """Return a text with every secret in it replaced by ``***``."""
    for value in _given_secrets():
        text = text.replace(value, MASK)
    text = _FORMS.sub(MASK, text)
    text = _USER.sub(f"{MASK}@", text)
    text = _QUERY.sub(rf"\g<start>{MASK}", text)
    text = _HEADER.sub(rf"\g<start>{MASK}", text)
    return _ASSIGNED.sub(_mask_assigned, text)


def redact_value(value: Any) -> Any:
    """Return a JSON value with the secrets masked in its texts, and whole in fields named so."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        named = {k for k in value if isinstance(k, str) and is_secret_name(k)}
        return {
            redact(key) if isinstance(key, str) else key: (
                MASK if key in named and isinstance(part, str) and part else redact_value(part)
            )
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_value(part) for part in value]
    return value


def list_masked(value: Any, path: str = "") -> list[str]:
    """Return the dotted paths of a JSON value's texts that :func:`redact_value` masks."""
    if isinstance(value, Mapping):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(str(i), part) for i, part in enumerate(value)]
    else:
        name = path.rpartition(".")[2]
        secret = isinstance(value, str) and redact_value({name: value})[name] != value
        return [path] if secret else []
    found = (list_masked(part, f"{path}.{key}" if path else key) for key, part in parts)
    return [one for each in found for one in each]


def redact_logs() -> None:
    """Have every log record of this process made without secrets, whoever handles it."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # a record that can't be formatted is told by its handler
            return record
        if (masked := redact(message)) != message:
            record.msg, record.args = masked, None
        return record

    make_redacted.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(make_redacted)


def _given_secrets() -> list[str]:
    """Return the secrets this process was given in its environment, the longest first."""
    found = {
        value
        for name, value in os.environ.items()
        if len(value) >= SHORTEST
        and is_secret_name(name)
        and not value.isspace()
        # PWD is where a shell stands, and a key may be named by its file: neither is the secret.
        # A secret may begin with a slash as well, so that only what is there is a path.
        and not (os.path.isabs(value) and os.path.exists(value))
    }
    return sorted(found, key=len, reverse=True)


def _mask_assigned(found: re.Match[str]) -> str:
    quote = found["quote"] or ""
    return f"{found['start']}{quote}{MASK}{quote}"
