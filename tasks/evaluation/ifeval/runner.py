"""IFEval put to a model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from configs.suites.behaviour import IfevalSuite
from tasks.evaluation.datasets import Located, fail, located, prompt_of, some, user
from tasks.evaluation.ifeval import wording
from tasks.evaluation.ifeval.language import require
from tasks.evaluation.ifeval.wording import SAID, Args, Rule
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import AnswersRunner
from tasks.models.api import Answer, Prompt

# Whether an answer keeps its instructions: strictly, and with some leeway.

RULES: dict[str, Rule] = {**wording.RULES, **wording.LAYOUT_RULES}
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


class IfevalCase(NamedTuple):
    """A prompt and what it asks for."""

    prompt: str
    instructions: tuple[Instruction, ...]


class IfevalRunner(AnswersRunner[IfevalSuite, IfevalCase]):
    """Prompts whose instructions rules check."""

    def prompt(self, case: IfevalCase) -> Prompt:
        """Return the prompt alone."""
        return Prompt(user(case.prompt))

    def rows(self, item: str, case: IfevalCase, answer: Answer) -> list[ItemRow]:
        """Return a row of form ``prompt``, then its rows of form ``instruction``.

        An instruction's gold is its rule, its prediction the rule where it is kept strictly, and
        its cluster the prompt's id. A prompt that wasn't answered has no scores.
        """
        return _rows(item, case, answer)


def open_ifeval(suite: IfevalSuite, split: str, seed: int) -> IfevalRunner:
    """Return the suite's prompts.

    Args:
        suite: The section; ``limit`` of its prompts are chosen by ``seed``.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, or an instruction can't be judged.
        SetupError: A rule needs the extra ``ifeval``, or the prompts aren't on this machine.
    """
    cases = [_case(found) for found in located(suite, split)]
    ids = item_ids([[c.prompt, [[i.name, i.args] for i in c.instructions]] for c in cases])
    chosen = some(cases, ids, suite, seed)
    if any(RULES[i.name].libraries for _, case in chosen for i in case.instructions):
        require()
    return IfevalRunner(suite, chosen)


def instructions_of(found: Located, names: Any, args: Any) -> tuple[Instruction, ...]:
    """Return a record's instructions.

    Args:
        found: The record.
        names: Names of rules.
        args: An object of arguments each.

    Raises:
        EvaluationError: They aren't lists of one length, or one can't be judged.
    """
    if not isinstance(names, list) or not names:
        fail(found, "instruction_id_list", "is no list of rules", "name at least one rule.")
    if not isinstance(args, list) or len(args) != len(names):
        fail(
            found,
            "kwargs",
            f"is no list of {len(names)} objects, one a rule",
            "give {} for a rule without arguments.",
        )
    told = tuple(Instruction(str(n), _given(a)) for n, a in zip(names, args, strict=True))
    for place, instruction in enumerate(told, start=1):
        wrong = problem(instruction)
        if wrong is not None:
            fail(
                found,
                f"instruction {place}",
                f"can't be judged: {wrong}",
                "see the 25 rules of tasks/evaluation/ifeval.",
            )
    return told


def _given(args: Any) -> dict[str, Any]:
    """Return the arguments that are set: tables write every argument of every rule."""
    if not isinstance(args, dict):
        return {}
    return {name: value for name, value in args.items() if value is not None}


def _case(found: Located) -> IfevalCase:
    record = found.record
    told = instructions_of(found, record.get("instruction_id_list"), record.get("kwargs"))
    return IfevalCase(prompt_of(found, "prompt"), told)


def _rows(item: str, case: IfevalCase, answer: Answer) -> list[ItemRow]:
    whole = answer_row(item, "prompt", answer)
    each = [
        whole._replace(
            item_id=f"{item}/{place}",
            form="instruction",
            cluster=item,
            gold=told.name,
            raw_output=None,
        )
        for place, told in enumerate(case.instructions, start=1)
    ]
    if answer.error is not None:
        return [whole, *each]
    found = judge(answer.said, case.instructions)
    kept = {
        "prompt_strict": float(all(v.strict for v in found)),
        "prompt_loose": float(all(v.loose for v in found)),
    }
    return [
        whole._replace(scores=kept, score=kept["prompt_strict"]),
        *(
            row._replace(
                prediction=row.gold if verdict.strict else None,
                scores={
                    "instruction_strict": float(verdict.strict),
                    "instruction_loose": float(verdict.loose),
                },
            )
            for row, verdict in zip(each, found, strict=True)
        ),
    ]
