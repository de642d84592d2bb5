"""Every check of what texts hold: what it finds, on which rows, and what follows.

A check takes the texts of a batch of rows and returns its findings; one line of ``CHECKS`` adds
another. What is reported stays where it is and is counted; what is quarantined is set aside.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.quality import Personal, Quality, Secrets
from tasks.quality.checks.engines import Engine, Found, PatternEngine, personal_engine
from tasks.quality.checks.language import languages
from tasks.quality.checks.mojibake import mojibake
from tasks.quality.checks.texts import Flags, Texts, all_texts_of, texts_of, whole_texts
from tasks.quality.rules.explanations import rule_names

Severity = Literal["off", "report", "quarantine"]
_BATCH = 50_000


class Check(NamedTuple):
    """One check, or several that are computed together.

    Attributes:
        severity: What follows from a finding under a recipe (``redact`` is done beforehand).
        prepare: Returns what all batches share, such as a model.
        find: Finding -> the rows of a batch that have it.
        texts: Which of the rows' texts it is shown.
    """

    severity: Callable[[Quality], Severity]
    prepare: Callable[[Quality], Any]
    find: Callable[[Texts, Quality, Any], Mapping[str, Flags]]
    texts: Callable[[Any], Texts] = texts_of


class Findings(NamedTuple):
    """What the checks found.

    Attributes:
        quarantined: Finding -> the rows to set aside (n).
        reported: Finding -> the rows to count (n).
        languages: Language -> rows, where languages were asked for.
    """

    quarantined: dict[str, Flags]
    reported: dict[str, Flags]
    languages: dict[str, int]


NO_FINDINGS = Findings({}, {}, {})


def run_checks(table: Any, quality: Quality) -> Findings:
    """Return what every check finds in a table of chat rows (n).

    Raises:
        DataError: A check asks for a library that isn't installed.
    """
    asked = [(name, check.severity(quality)) for name, check in CHECKS.items()]
    asked = [(name, severity) for name, severity in asked if severity != "off"]
    shared = {name: CHECKS[name].prepare(quality) for name, _ in asked}
    found: dict[str, list[dict[str, Flags]]] = {name: [] for name, _ in asked}
    views = {CHECKS[name].texts for name, _ in asked}
    for batch in table.to_batches(max_chunksize=_BATCH):
        texts = {view: view(batch) for view in views}
        for name, _ in asked:
            check = CHECKS[name]
            found[name].append(dict(check.find(texts[check.texts], quality, shared[name])))
    made: dict[str, dict[str, Flags]] = {"quarantine": {}, "report": {}}
    for name, severity in asked:
        made[severity] |= _joined(found[name])
    return Findings(made["quarantine"], made["report"], dict(shared.get("language", Counter())))


def _joined(parts: list[dict[str, Flags]]) -> dict[str, Flags]:
    names = parts[0] if parts else {}
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _nothing(_: Quality) -> None:
    return None


def _short(texts: Texts, quality: Quality, _: None) -> dict[str, Flags]:
    lengths = np.asarray(pc.utf8_length(texts.distinct), dtype=np.int64)[texts.which]
    chars = np.bincount(texts.row, weights=lengths, minlength=texts.rows)
    return {"short": chars < quality.min_chars}


def _mojibake(texts: Texts, quality: Quality, _: None) -> dict[str, Flags]:
    if quality.mojibake is None:
        return {}
    return {"mojibake": texts.rows_with(mojibake(texts.distinct, quality.mojibake))}


def _language(texts: Texts, quality: Quality, counts: "Counter[str]") -> dict[str, Flags]:
    found = languages(whole_texts(texts), quality.language)
    counts.update(found.codes.tolist())
    return {"language": found.others(quality.languages)}


def _held(prefix: str) -> Callable[[Texts, Quality, Engine], dict[str, Flags]]:
    def find(texts: Texts, _: Quality, engine: Engine) -> dict[str, Flags]:
        found = Found(engine, texts.distinct)
        return {f"{prefix}_{kind}": texts.rows_with(found.flags(kind)) for kind in engine.kinds}

    return find


def _rules(texts: Texts, quality: Quality, judge: Callable[[], Any]) -> dict[str, Flags]:
    asked = np.ones(texts.rows, dtype=bool) if quality.text_rules == "on" else texts.plain
    found = {name: np.zeros(texts.rows, dtype=bool) for name in rule_names(quality.rules)}
    if asked.any():
        judged = judge().judge(whole_texts(texts).filter(pa.array(asked)))
        for name, hit in judged.items():
            found[name][asked] = hit
    return found


def _judge(quality: Quality) -> Callable[[], Any]:
    @cache
    def judge() -> Any:
        # Compiled rules take seconds to load, which sources of chat rows need not wait for.
        from tasks.quality.rules.judge import Judge

        return Judge(quality.rules)

    return judge


def _personal(quality: Quality) -> Engine:
    return personal_engine(quality.pii or Personal())


def _secrets(quality: Quality) -> Engine:
    return PatternEngine((quality.secrets or Secrets()).kinds)


def _personal_severity(quality: Quality) -> Severity:
    action = quality.pii.action if quality.pii and quality.pii.kinds else "redact"
    return "off" if action == "redact" else action


def _secrets_severity(quality: Quality) -> Severity:
    action = quality.secrets.action if quality.secrets and quality.secrets.kinds else "redact"
    return "off" if action == "redact" else action


CHECKS: dict[str, Check] = {
    "short": Check(lambda q: "quarantine" if q.min_chars else "off", _nothing, _short),
    "mojibake": Check(lambda q: q.mojibake.action if q.mojibake else "off", _nothing, _mojibake),
    "language": Check(
        lambda q: q.language.action if q.languages else "off", lambda _: Counter(), _language
    ),
    "pii": Check(_personal_severity, _personal, _held("pii"), all_texts_of),
    "secrets": Check(_secrets_severity, _secrets, _held("secret"), all_texts_of),
    "rules": Check(lambda q: "off" if q.text_rules == "off" else "quarantine", _judge, _rules),
}
"""Name -> check, in the order in which findings are listed."""
