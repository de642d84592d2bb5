"""Items of your own with checks that a rule decides, put to a model."""

from typing import Any, NamedTuple

from configs.suites.behaviour import AdherenceSuite
from tasks.evaluation.datasets import Located, fail, located, some, text_of, user
from tasks.evaluation.ifeval.language import require
from tasks.evaluation.ifeval.runner import RULES
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.evaluation.suites.rule_checks import Checks, check_answer, read_checks
from tasks.models.api import Answer, Prompt
from tasks.text.rows import Message

_ROLES = ("system", "user", "assistant")


class AdherenceCase(NamedTuple):
    """A prompt with its checks."""

    prompt: list[Message]
    checks: Checks
    passage: str
    category: str | None
    group: str | None


class AdherenceRunner(AnswersRunner[AdherenceSuite, AdherenceCase]):
    """Prompts with checks."""

    def prompt(self, case: AdherenceCase) -> Prompt:
        """Return the prompt with its system text and passage."""
        return Prompt(case.prompt)

    def rows(self, item: str, case: AdherenceCase, answer: Answer) -> list[ItemRow]:
        """Return a row of form ``item``, then its rows of form ``check``.

        A check's gold is its name, its prediction the same where it is kept; its cluster is the
        item's group, or the item. An item that wasn't answered has no scores.
        """
        return _rows(item, case, answer)


def open_adherence(suite: AdherenceSuite, split: str, seed: int) -> AdherenceRunner:
    """Return the suite's items.

    Args:
        suite: The section; ``limit`` of its items are chosen by ``seed``.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or one is malformed: its file, line, field and the fix.
        SetupError: A check needs the extra ``ifeval``.
    """
    cases = [_case(found) for found in located(suite, split)]
    ids = item_ids([[c.prompt, c.checks._asdict(), c.passage] for c in cases])
    chosen = some(cases, ids, suite, seed)
    if any(RULES[i.name].libraries for _, c in chosen for i in c.checks.instructions):
        require()
    return AdherenceRunner(suite, chosen)


def _case(found: Located) -> AdherenceCase:
    passage = found.record.get("passage") or ""
    if not isinstance(passage, str):
        fail(found, "passage", "is no text", "give the passage as one text.")
    checks = read_checks(found, found.record.get("checks"), passage)
    return AdherenceCase(
        _prompt(found, passage),
        checks,
        passage,
        text_of(found, "category"),
        text_of(found, "group"),
    )


def _prompt(found: Located, passage: str) -> list[Message]:
    record = found.record
    # Parquet gives every row every field of any row, null where it has none.
    has_prompt, has_messages = (record.get(n) is not None for n in ("prompt", "messages"))
    if has_prompt == has_messages:
        fail(found, "prompt", "and 'messages' are both given, or neither is", "give one of them.")
    turns = _turns(found, record["messages"]) if has_messages else _single(found)
    system = record.get("system")
    if system is not None and (not isinstance(system, str) or turns[0]["role"] == "system"):
        fail(found, "system", "is no text, or stands in 'messages' too", "give one text, once.")
    if passage:
        turns[-1] = Message(role="user", content=f"{passage}\n\n{turns[-1]['content']}")
    return turns if system is None else [Message(role="system", content=system), *turns]


def _single(found: Located) -> list[Message]:
    prompt = found.record["prompt"]
    if not isinstance(prompt, str) or not prompt.strip():
        fail(found, "prompt", "is no text, or an empty one", "write what the user says.")
    return user(prompt)


def _turns(found: Located, messages: Any) -> list[Message]:
    whole = (
        isinstance(messages, list)
        and messages
        and all(
            isinstance(m, dict) and m.get("role") in _ROLES and isinstance(m.get("content"), str)
            for m in messages
        )
    )
    if not whole or messages[-1]["role"] != "user":
        fail(
            found,
            "messages",
            "is no list of turns (role and content) that ends with the user's",
            'write it as [{"role": "user", "content": "..."}].',
        )
    return [Message(role=m["role"], content=m["content"]) for m in messages]


def _rows(item: str, case: AdherenceCase, answer: Answer) -> list[ItemRow]:
    whole = answer_row(item, "item", answer)._replace(cluster=case.group, stratum=case.category)
    if answer.error is not None:
        return [whole]
    found = check_answer(answer.said, case.checks, case.passage)
    rows = [
        whole._replace(
            item_id=f"{item}/{place}",
            form="check",
            cluster=case.group or item,
            raw_output=None,
            gold=name,
            prediction=name if right else None,
            scores={"checks_kept": float(right)},
        )
        for place, (name, right) in enumerate(found.items(), start=1)
    ]
    right = float(all(found.values()))
    return [whole._replace(score=right, scores={"kept": right}), *rows]
