"""Every check of quality, one entry of one table, and the two passes that make them.

Rows are looked at alone first, in batches; then a source as a whole, for what only shows when rows
are compared. A new check is a function in a file of its own and an entry here.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from configs.quality import CHECKS as SWITCHED
from configs.quality import PERSONAL_KINDS, SECRET_KINDS, Quality, Severity
from tasks.quality.checks.comparisons import (
    Comparison,
    find_duplicates,
    find_inconsistent,
    find_label_conflicts,
    find_missing_label,
)
from tasks.quality.checks.conversation import (
    find_alternation,
    find_empty,
    find_first_user,
    find_last_assistant,
    find_reasoning_place,
    find_unknown_fields,
)
from tasks.quality.checks.detectors import (
    find_personal,
    find_secret,
    hide_secrets,
    personal_severity,
    secret_severity,
)
from tasks.quality.checks.language import find_other_languages
from tasks.quality.checks.mojibake import find_mojibake_rows, locate_mojibake
from tasks.quality.checks.prose_rules import find_by_rule, rule_severity
from tasks.quality.checks.reserved import find_reserved_tokens, locate_reserved_token
from tasks.quality.checks.row_batch import CheckContext, RowBatch
from tasks.quality.checks.texts import Flags
from tasks.quality.checks.tools import (
    find_pair_empty,
    find_pair_equal,
    find_pair_no_prompt,
    find_reference_answered,
    find_reference_missing,
    tool_fault,
)
from tasks.quality.checks.wording import (
    find_control_characters,
    find_long,
    find_short,
    locate_control_character,
)
from tasks.quality.prose.rules import RULES


class Check(NamedTuple):
    """One check.

    Attributes:
        name: What it is called in recipes, quarantine and verdicts.
        severity: What a finding does where the recipe's ``severity`` doesn't say: report (count
            it), quarantine (set the rows aside) or block (the source); or a function of the
            recipe's section, None where the check isn't asked for.
        explanation: What it finds and why that matters, in one sentence.
        find: Returns the rows of a batch that it finds (n), or None where a source has nothing
            that it could look at.
        compare: The same for a source as a whole, where rows must be compared.
        for_target: Severity where the recipe names a target, whose rules the rows must keep, too.
        quiet: Whether a check that found nothing is left out of the verdict's list.
        any_share: Whether any share of rows may be found without blocking the source.
        locate: Returns where in a text an example of a finding shows why, given the target.

    A check without ``find`` and ``compare`` is made by the step that its explanation is about:
    reading, dividing, counting or comparing sources.
    """

    name: str
    severity: Severity | Callable[[Quality], Severity | None]
    explanation: str
    find: Callable[[RowBatch], Flags | None] | None = None
    compare: Callable[[Comparison], Flags] | None = None
    for_target: Severity | None = None
    quiet: bool = False
    any_share: bool = False
    locate: Callable[[str, str], int] | None = None


_PERSONAL = {
    "email": "The row holds somebody's e-mail address.",
    "phone": "The row holds a telephone number.",
    "card": "The row holds a payment card's number, whose checksum holds.",
    "iban": "The row holds a bank account's number (IBAN), whose checksum holds.",
    "ip": "The row holds a public network address.",
    "person": "The row names a person, as Presidio sees it.",
    "location": "The row names a place, as Presidio sees it.",
    "date": "The row holds a date or time, as Presidio sees it.",
    "passport": "The row holds a passport's number, as Presidio sees it.",
    "driver_licence": "The row holds a driving licence's number, as Presidio sees it.",
    "national_id": "The row holds a number of an identity card or a social security number.",
    "tax_id": "The row holds a tax number.",
    "health_id": "The row holds a number of a health service or of a medical licence.",
    "bank_account": "The row holds a bank account's number, as Presidio sees it.",
}
_SECRET = {
    "api_key": "The row holds a key or token of a service, which a model would give away.",
    "private_key": "The row holds a private key, which a model would give away.",
    "jwt": "The row holds a signed token (JWT), which a model would give away.",
    "connection_string": "The row holds an address with a password in it.",
    "credential": "The row holds a password, token or key beside its name (password:, Bearer).",
}

_TABLE: tuple[Check, ...] = (
    Check(
        "format",
        "quarantine",
        "The row could not be read or converted, so it can't be used at all.",
    ),
    Check(
        "empty",
        "quarantine",
        "A message has no text, so there is nothing to learn from or to answer.",
        find_empty,
    ),
    Check(
        "alternation",
        "quarantine",
        "Turns must go user, assistant, user, ... after an optional system message; a tool's "
        "results stand in the user's place.",
        find_alternation,
    ),
    Check(
        "first_user",
        "quarantine",
        "The first turn after an optional system message is not the user's, so the answer has no "
        "question.",
        find_first_user,
    ),
    Check(
        "last_assistant",
        "quarantine",
        "The last turn is not the assistant's, so the row ends without an answer to learn.",
        find_last_assistant,
    ),
    Check(
        "reserved_tokens",
        "quarantine",
        "The text holds a chat control token, which would forge the turn it stands in.",
        find_reserved_tokens,
        locate=locate_reserved_token,
    ),
    Check(
        "control_characters",
        "quarantine",
        "The text holds control characters or U+FFFD, the mark of a wrong encoding.",
        find_control_characters,
        locate=locate_control_character,
    ),
    Check("length", "quarantine", "A text is longer than max_chars.", find_long),
    Check(
        "tool_place",
        "quarantine",
        "A turn that is not the assistant's calls a tool.",
        tool_fault("tool_place"),
    ),
    Check(
        "tools_missing",
        "quarantine",
        "A tool is called, but the row offers none.",
        tool_fault("tools_missing"),
    ),
    Check(
        "tool_unknown",
        "quarantine",
        "A tool is called that is not among those the row offers.",
        tool_fault("tool_unknown"),
    ),
    Check(
        "tool_id_twice",
        "quarantine",
        "Two calls have the same id, so that nobody can tell their results apart.",
        tool_fault("tool_id_twice"),
    ),
    Check(
        "tool_result_early",
        "quarantine",
        "A result names no call that was made before it.",
        tool_fault("tool_result_early"),
    ),
    Check(
        "tool_result_twice",
        "quarantine",
        "A call has two results.",
        tool_fault("tool_result_twice"),
    ),
    Check(
        "tool_result_missing",
        "quarantine",
        "The conversation goes on after a call without its result.",
        tool_fault("tool_result_missing"),
    ),
    Check(
        "tool_name_twice",
        "quarantine",
        "Two tools have the same name, so that a call names neither.",
        tool_fault("tool_name_twice"),
    ),
    Check(
        "tool_undescribed",
        "report",
        "A tool has no description, so that a model can't tell what it is for.",
        tool_fault("tool_undescribed"),
        for_target="quarantine",
    ),
    Check(
        "tool_untyped",
        "quarantine",
        "A tool's parameters have no type, which is no JSON schema of arguments.",
        tool_fault("tool_untyped"),
    ),
    Check(
        "pair_equal",
        "quarantine",
        "The chosen answer and the rejected one are the same, so neither is preferred.",
        find_pair_equal,
    ),
    Check("pair_empty", "quarantine", "One answer of the pair has no text.", find_pair_empty),
    Check(
        "pair_no_prompt",
        "quarantine",
        "The pair has no prompt that its answers are to.",
        find_pair_no_prompt,
    ),
    Check(
        "reference_missing",
        "quarantine",
        "The question has no reference answer, though others of the source do, or the target asks "
        "for one.",
        find_reference_missing,
    ),
    Check(
        "reference_answered",
        "quarantine",
        "The question ends with the assistant's answer, and should be left for the model to "
        "answer.",
        find_reference_answered,
    ),
    Check(
        "unknown_fields",
        "report",
        "The row has fields that were not used; what they say is not trained on.",
        find_unknown_fields,
        for_target="quarantine",
    ),
    Check(
        "reasoning_place",
        "quarantine",
        "A turn that is not the assistant's holds reasoning.",
        find_reasoning_place,
    ),
    Check(
        "short",
        lambda q: "quarantine" if q.min_chars else None,
        "The row's text is shorter than min_chars.",
        find_short,
        quiet=True,
    ),
    Check(
        "mojibake",
        lambda q: q.mojibake.action if q.mojibake else None,
        "The text was decoded with a wrong encoding, so that letters turned into others.",
        find_mojibake_rows,
        quiet=True,
        locate=locate_mojibake,
    ),
    Check(
        "language",
        lambda q: q.language.action if q.languages else None,
        "The row is in none of the languages that are wanted.",
        find_other_languages,
        quiet=True,
    ),
    *(
        Check(
            f"pii_{kind}", personal_severity(kind), _PERSONAL[kind], find_personal(kind), quiet=True
        )
        for kind in PERSONAL_KINDS
    ),
    *(
        Check(f"secret_{kind}", secret_severity(kind), _SECRET[kind], find_secret(kind), quiet=True)
        for kind in SECRET_KINDS
    ),
    *(
        Check(name, rule_severity(family), text, find_by_rule(name), quiet=True)
        for family, rules in RULES.items()
        for name, text in rules.items()
    ),
    Check(
        "missing_label",
        "quarantine",
        "The source gives labels, but this row has none.",
        find_missing_label,
    ),
    Check(
        "duplicate",
        "quarantine",
        "Another row says the same but for case, spacing and punctuation; the first is kept.",
        compare=find_duplicates,
    ),
    Check(
        "label_conflict",
        "quarantine",
        "Rows with the same prompt carry different labels, and nothing says which is right.",
        compare=find_label_conflicts,
    ),
    Check(
        "inconsistent_system",
        "report",
        "Some rows of the source have a system message and some have none; these are the fewer.",
        compare=find_inconsistent("system"),
        for_target="block",
        quiet=True,
    ),
    Check(
        "inconsistent_tools",
        "report",
        "Some rows of the source offer tools and some don't; these are the fewer.",
        compare=find_inconsistent("tools"),
        for_target="block",
        quiet=True,
    ),
    Check(
        "inconsistent_reasoning",
        "report",
        "Some rows of the source show reasoning and some don't; these are the fewer.",
        compare=find_inconsistent("reasoning"),
        for_target="block",
        quiet=True,
    ),
    Check(
        "overlaps_test",
        "quarantine",
        "The prompt is also a test or dev item's, which training on would give away.",
    ),
    Check(
        "unseen_label",
        "report",
        "The label of this test row is in no training row, so it can't be learned.",
    ),
    Check(
        "duplicate_across",
        "quarantine",
        "A row of another source says the same but for case, spacing and punctuation; domain "
        "sources keep theirs before general ones, then names decide.",
        any_share=True,
    ),
    Check(
        "near_duplicate",
        "quarantine",
        "Another row, of this or another source, says nearly the same; it is kept.",
        any_share=True,
    ),
    Check(
        "row_count",
        "block",
        "The source has fewer or more clean training rows than the target takes.",
    ),
)

CHECKS: dict[str, Check] = {check.name: check for check in _TABLE}
"""Name -> check, in the order in which findings are listed."""


class Findings(NamedTuple):
    """What the checks found.

    Attributes:
        flags: Check -> the rows to set aside (n).
        reported: Check -> the rows to count (n).
        languages: Language -> rows, where languages were asked for.
    """

    flags: dict[str, Flags]
    reported: dict[str, Flags]
    languages: dict[str, int]

    def hit(self, rows: int) -> Flags:
        """Return the rows that any check sets aside."""
        return any_of(self.flags.values(), rows)


def severity_of(name: str, quality: Quality) -> Severity | None:
    """Return what a finding does: as the recipe says, as the target needs, or the default.

    Returns:
        None where the recipe doesn't ask for the check.
    """
    if name in SWITCHED and name not in quality.checks:
        return None
    chosen = {str(known): severity for known, severity in quality.severity.items()}
    if name in chosen:
        return chosen[name]
    if name not in CHECKS:
        return "quarantine"
    check = CHECKS[name]
    if check.for_target is not None and quality.target != "none":
        return check.for_target
    return check.severity if isinstance(check.severity, str) else check.severity(quality)


def run_checks(context: CheckContext, frame: pd.DataFrame, *, classes: bool) -> Findings:
    """Return what every check that the recipe asks for finds in a source's rows (n).

    Args:
        context: The rows and the recipe's section.
        frame: Their identities (:func:`tasks.quality.row_table.build_identities`).
        classes: Whether their labels name classes.

    Raises:
        DataError: A check asks for a library that isn't installed.
    """
    quality = context.quality
    asked = {name: s for name in CHECKS if (s := severity_of(name, quality)) is not None}
    found = Findings({}, {}, {})
    for name, flags in _look_at_rows(context, [CHECKS[name] for name in asked]).items():
        _record(found, CHECKS[name], asked[name], flags)
    whole = Comparison(context, frame, ~found.hit(len(frame)), classes)
    for name in asked:
        if (compare := CHECKS[name].compare) is not None:
            _record(found, CHECKS[name], asked[name], compare(whole))
    return found._replace(languages=dict(context.languages))


def explain_check(name: str) -> str:
    """Return what a check finds, in one sentence."""
    if name in CHECKS:
        return CHECKS[name].explanation
    return "The row doesn't meet this expectation of your own suite."


def show_example(name: str, text: str, target: str) -> tuple[str, int]:
    """Return a text as an example of a finding may show it, and the place that shows why."""
    kind = name.removeprefix("pii_").removeprefix("secret_")
    text, place = hide_secrets(text, kind if kind in (*_PERSONAL, *_SECRET) else "")
    locate = CHECKS[name].locate if name in CHECKS else None
    return text, place or (locate(text, target) if locate is not None else 0)


def any_of(flags: Iterable[Flags], rows: int) -> Flags:
    """Return the rows that any check found (rows)."""
    found = np.zeros(rows, dtype=bool)
    for hit in flags:
        found |= hit
    return found


def _look_at_rows(context: CheckContext, checks: list[Check]) -> dict[str, Flags]:
    """Return check -> the rows found, of the checks that found something to look at."""
    parts: list[dict[str, Flags | None]] = []
    sizes: list[int] = []
    for batch in context.batches():
        parts.append({c.name: c.find(batch) for c in checks if c.find is not None})
        sizes.append(len(batch))
    found = {}
    for name in parts[0]:
        flags = [part[name] for part in parts]
        if any(f is not None for f in flags):
            whole: list[Any] = [
                np.zeros(size, dtype=bool) if f is None else f
                for f, size in zip(flags, sizes, strict=True)
            ]
            found[name] = np.concatenate(whole)
    return found


def _record(found: Findings, check: Check, severity: Severity, flags: Flags) -> None:
    if severity == "report":
        found.reported[check.name] = flags
    elif flags.any() or not check.quiet:
        found.flags[check.name] = flags
