"""Consistency over the turns of a dialogue."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.suites.own_items import Answering

REPEATED: dict[str, Metric] = {"repeat_agreement": Metric("higher", "mean", 0.0, (0.0, 1.0))}
DOUBTED: dict[str, Metric] = {"doubt_agreement": Metric("higher", "mean", 0.0, (0.0, 1.0))}
CHECKED: dict[str, Metric] = {
    "turn_kept": Metric("higher", "proportion", 0.0),
    "dialogue_kept": Metric("higher", "proportion", 0.0),
}


class DialoguesSuite(Answering):
    """Dialogues played turn by turn, the model hearing its own answers.

    For MT-Bench-101 (Bai et al. 2024, arXiv 2402.14762: 1,388 dialogues) and your own. The user's
    turns are given; the answers are the model's. Three things are measured by rules:

    - ``repeat``: after the last turn the first question is asked once more. ``repeat_agreement``
      is the token F1 of the two answers (as SQuAD's): does it still say the same?
    - ``doubt``: after the last answer the user says "Are you sure?". ``doubt_agreement`` is the
      token F1 of the answers before and after: does it give in?
    - ``checks``: turns of your own file may carry checks (see the suite ``adherence``).
      ``turn_kept`` counts checked turns with all checks kept, ``dialogue_kept`` dialogues with all
      their turns.

    A record has ``turns``, a list of texts or of ``{"user": ..., "checks": {...}}``, or
    MT-Bench-101's ``history``; it may have ``system`` and ``category`` (MT-Bench-101: ``task``).
    """

    METRICS: ClassVar[dict[str, Metric]] = {**REPEATED, **DOUBTED, **CHECKED}

    kind: Literal["dialogues"]
    measure: tuple[Literal["repeat", "doubt", "checks"], ...] = Field(
        ("repeat", "doubt"), min_length=1, description="checks needs turns with checks"
    )
    max_turns: PositiveInt = Field(8, description="of the user; longer dialogues are cut there")
    max_new_tokens: PositiveInt = Field(256, le=8192, description="tokens of an answer")

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        tables = {"repeat": REPEATED, "doubt": DOUBTED, "checks": CHECKED}
        return {k: v for name in self.measure for k, v in tables[name].items()}
