"""Whether an answer keeps its instructions: strictly, and with some leeway."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.evaluation.ifeval import layout, wording
from tasks.evaluation.ifeval.arguments import SAID, Args, Rule

RULES: dict[str, Rule] = {**wording.RULES, **layout.LAYOUT_RULES}
"""The 25 rules by their published names."""


class Instruction(NamedTuple):
    """One thing a prompt asks for: a rule's name with its arguments."""

    name: str
    args: Args


class Verdict(NamedTuple):
    """Whether an instruction is kept by the answer as it is, and by one of its readings."""

    strict: bool
    loose: bool


def judge(answer: str, instructions: Sequence[Instruction]) -> list[Verdict]:
    """Return the verdict on each instruction; an answer of white space keeps none.

    Strictly the answer itself is judged. Loosely it is enough that one of eight readings keeps the
    instruction: the whole answer, or it without its first line, its last, or both, and each of
    these with its asterisks removed (Zhou et al. 2023, section 3.2).
    """
    told = [text for text in readings(answer) if text.strip()]
    return [_verdict(instruction, answer, told) for instruction in instructions]


def readings(answer: str) -> list[str]:
    """Return the eight readings of an answer, itself first."""
    lines = answer.split("\n")
    cut = ["\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])]
    whole = [answer, *cut]
    return [*whole, *(text.replace("*", "") for text in whole)]


def problem(instruction: Instruction) -> str | None:
    """Return what is wrong with an instruction, in words; None where it can be judged."""
    rule = RULES.get(instruction.name)
    if rule is None:
        return f"there is no rule '{instruction.name}'"
    for name, kind in rule.takes.items():
        given: Any = instruction.args.get(name)
        if not kind(given):
            return f"'{name}' of {instruction.name} is {SAID[kind]}, not {given!r}"
    return None


def _verdict(instruction: Instruction, answer: str, told: Sequence[str]) -> Verdict:
    kept = RULES[instruction.name].kept
    strict = bool(answer.strip()) and kept(answer, instruction.args)
    return Verdict(strict, strict or any(kept(text, instruction.args) for text in told))
