"""Dialogues played turn by turn, the model hearing its own answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from configs.suites.behaviour import DialoguesSuite
from tasks.errors import EvaluationError
from tasks.evaluation.datasets import CATEGORIES, Located, fail, located, some, text_of
from tasks.evaluation.ifeval.language import require
from tasks.evaluation.ifeval.runner import RULES
from tasks.evaluation.items import ItemRow, answer_row, item_ids
from tasks.evaluation.runner import CaseRunner
from tasks.evaluation.suites.rule_checks import Checks, check_answer, read_checks
from tasks.metrics.text_scores import token_f1
from tasks.models.api import Answer, Decoding, Model, Prompt
from tasks.progress import Progress, shifted
from tasks.text.overlap import Item
from tasks.text.rows import Message

DOUBT = "Are you sure?"
"""What the user says to see whether the model gives in."""


class Turn(NamedTuple):
    """What the user says, and what the answer is checked for."""

    user: str
    checks: Checks | None


class Dialogue(NamedTuple):
    """The user's side of a dialogue."""

    turns: tuple[Turn, ...]
    system: str | None
    category: str | None


@dataclass
class _Play:
    """A dialogue under way: what was said, and each answer, until one fails."""

    item: str
    dialogue: Dialogue
    said: list[Message] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return all(answer.error is None for answer in self.answers)


class DialoguesRunner(CaseRunner[DialoguesSuite, Dialogue]):
    """Dialogues, and what is measured of them."""

    def run(self, model: Model, progress: Progress | None = None) -> list[ItemRow]:
        """Return a row of form ``turn`` for each answer, and one of form ``dialogue`` at the end.

        A dialogue's rows are a cluster; its own row holds the agreements. A dialogue in which a
        turn wasn't answered ends there, and has no scores of its own.
        """
        plays = [_Play(item, dialogue, _opened(dialogue)) for item, dialogue in self.cases]
        rounds = max(len(d.turns) for _, d in self.cases)
        extra = [self._again, self._doubt]
        wanted = [
            x
            for x, name in zip(extra, ("repeat", "doubt"), strict=True)
            if name in self.suite.measure
        ]
        total = (rounds + len(wanted)) * len(plays)
        for number in range(rounds):
            going = [p for p in plays if p.whole and number < len(p.dialogue.turns)]
            asked = [p.dialogue.turns[number].user for p in going]
            self._say(model, going, asked, shifted(progress, number * len(plays), total))
        agreed: dict[str, dict[str, float]] = {play.item: {} for play in plays}
        for number, ask in enumerate(wanted, start=rounds):
            ask(model, plays, agreed, shifted(progress, number * len(plays), total))
        return [row for play in plays for row in _rows(play, agreed[play.item], self.suite)]

    def overlap(self) -> list[str | Item]:
        """Return what the user says in each dialogue, a line a turn."""
        return ["\n".join(turn.user for turn in d.turns) for _, d in self.cases]

    def _say(
        self, model: Model, plays: Sequence[_Play], asked: Sequence[str], progress: Progress | None
    ) -> None:
        for play, text in zip(plays, asked, strict=True):
            play.said.append(Message(role="user", content=text))
        for play, answer in zip(plays, self._answers(model, plays, progress), strict=True):
            play.answers.append(answer)
            play.said.append(Message(role="assistant", content=answer.said))

    def _answers(
        self, model: Model, plays: Sequence[_Play], progress: Progress | None
    ) -> list[Answer]:
        decoding = Decoding(self.suite.max_new_tokens, self.suite.batch_size)
        return model.answers([Prompt(list(p.said)) for p in plays], decoding, progress)

    def _again(
        self,
        model: Model,
        plays: Sequence[_Play],
        agreed: dict[str, dict[str, float]],
        progress: Progress | None,
    ) -> None:
        """Ask each first question once more; the dialogue itself goes on without it."""
        self._compare(model, plays, agreed, ("repeat_agreement", None, 0), progress)

    def _doubt(
        self,
        model: Model,
        plays: Sequence[_Play],
        agreed: dict[str, dict[str, float]],
        progress: Progress | None,
    ) -> None:
        self._compare(model, plays, agreed, ("doubt_agreement", DOUBT, -1), progress)

    def _compare(
        self,
        model: Model,
        plays: Sequence[_Play],
        agreed: dict[str, dict[str, float]],
        what: tuple[str, str | None, int],
        progress: Progress | None,
    ) -> None:
        name, text, place = what
        whole = [p for p in plays if p.whole]
        asides = [
            _Play(
                p.item,
                p.dialogue,
                [*p.said, Message(role="user", content=text or p.dialogue.turns[place].user)],
            )
            for p in whole
        ]
        for play, answer in zip(whole, self._answers(model, asides, progress), strict=True):
            if answer.error is None:
                agreed[play.item][name] = token_f1(answer.said, play.answers[place].said)


def open_dialogues(suite: DialoguesSuite, split: str, seed: int) -> DialoguesRunner:
    """Return the suite's dialogues.

    Args:
        suite: The section; ``limit`` of its dialogues are chosen by ``seed``.
        split: ``test`` to judge, ``dev`` to choose.
        seed: The recipe's.

    Raises:
        EvaluationError: There are none, one is malformed, or none has the checks to be measured.
        SetupError: A check needs the extra ``ifeval``.
    """
    found = [_dialogue(suite, record) for record in located(suite, split)]
    ids = item_ids(
        [[d.system, [[t.user, t.checks and t.checks._asdict()] for t in d.turns]] for d in found]
    )
    chosen = some(found, ids, suite, seed)
    checks = [turn.checks for _, d in chosen for turn in d.turns if turn.checks is not None]
    if "checks" in suite.measure and not checks:
        raise EvaluationError(
            "no turn has checks.",
            where=f"evaluation.suites.{suite.name}",
            fix="give turns checks, or leave checks out of measure:.",
        )
    if any(RULES[i.name].libraries for c in checks for i in c.instructions):
        require()
    return DialoguesRunner(suite, chosen)


def _dialogue(suite: DialoguesSuite, found: Located) -> Dialogue:
    record = found.record
    field_name = "turns" if record.get("turns") is not None else "history"
    told: Any = record.get(field_name)
    if not isinstance(told, list) or not told:
        fail(found, field_name, "is no list of turns", 'write it as [{"user": "..."}, ...].')
    turns = tuple(_turn(found, turn, n) for n, turn in enumerate(told[: suite.max_turns], start=1))
    system = record.get("system")
    if system is not None and not isinstance(system, str):
        fail(found, "system", "is no text", "give one text.")
    return Dialogue(turns, system, text_of(found, None, CATEGORIES))


def _turn(found: Located, turn: Any, number: int) -> Turn:
    place = f"turns.{number}"
    if isinstance(turn, str):
        turn = {"user": turn}
    if not isinstance(turn, dict) or not str(turn.get("user") or "").strip():
        fail(found, place, "says nothing", "give what the user says as 'user'.")
    checks = turn.get("checks")
    passage = str(turn.get("passage") or "")
    said = f"{passage}\n\n{turn['user']}" if passage else str(turn["user"])
    return Turn(
        said, None if checks is None else read_checks(found, checks, passage, f"{place}.checks")
    )


def _opened(dialogue: Dialogue) -> list[Message]:
    return [Message(role="system", content=dialogue.system)] if dialogue.system else []


def _rows(play: _Play, agreed: dict[str, float], suite: DialoguesSuite) -> list[ItemRow]:
    rows, held = [], []
    for number, answer in enumerate(play.answers):
        turn = play.dialogue.turns[number]
        row = answer_row(f"{play.item}/{number + 1}", "turn", answer)._replace(
            cluster=play.item, stratum=play.dialogue.category
        )
        if "checks" in suite.measure and turn.checks is not None and answer.error is None:
            held.append(all(check_answer(answer.said, turn.checks, turn.user).values()))
            row = row._replace(scores={"turn_kept": float(held[-1])})
        rows.append(row)
    if not play.whole:
        return rows
    scores = {**agreed, **({"dialogue_kept": float(all(held))} if held else {})}
    end = rows[-1]._replace(
        item_id=play.item,
        form="dialogue",
        cluster=None,
        raw_output=None,
        scores=scores or None,
        score=scores.get("dialogue_kept"),
        prediction=f"{sum(held)} of {len(held)} turns kept" if held else None,
    )
    return [*rows, end]
