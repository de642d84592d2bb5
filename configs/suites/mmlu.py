"""MMLU."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection
from configs.suites.mmlu_subjects import GROUP_OF, GROUPS

LETTERS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.25),
    "gold_logprob": Metric("higher", "mean"),
    "gold_margin": Metric("higher", "mean"),
    "letter_mass": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "ece": Metric("lower", "ratio", None, (0.0, 1.0)),
    "brier": Metric("lower", "mean", None, (0.0, 2.0)),
}
CLOZE: dict[str, Metric] = {
    "cloze_accuracy": Metric("higher", "proportion", 0.25),
    "cloze_margin": Metric("higher", "mean"),
    "cloze_gold_logprob": Metric("higher", "mean"),
}
CHAT: dict[str, Metric] = {
    "chat_accuracy": Metric("higher", "proportion", 0.25),
    "chat_gold_logprob": Metric("higher", "mean"),
    "chat_gold_margin": Metric("higher", "mean"),
    "chat_letter_mass": Metric("higher", "mean", 0.0, (0.0, 1.0)),
}
GROUPED: dict[str, Metric] = {name: Metric("higher", "proportion", 0.25) for name in GROUPS}
METRICS: dict[str, Metric] = {**LETTERS, **CLOZE}


class MmluSuite(SuiteSection):
    """MMLU (Hendrycks et al. 2021) by answer letters and, optionally, in cloze and chat form.

    Letters are asked as by lm-evaluation-harness 0.4.13 ``mmlu``: a line that names the subject,
    ``shots`` examples, the question with lettered answers, and the log-probability of " A" to
    " D". ``chat`` puts the same as a conversation by the model's chat template (the subject in a
    system message, each example a turn), as the harness does with ``--apply_chat_template``: the
    letters then have no space before them, so its figures go by names of their own
    (``chat_accuracy``). ``cloze`` scores the answers' texts after the bare question.

    The accuracy of the four groups (``stem``, ``humanities``, ``social_sciences``, ``other``) is
    over their questions, as in the harness, not a mean of subjects.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**METRICS, **CHAT, **GROUPED}

    kind: Literal["mmlu"]
    name: Name
    shots: int = Field(0, ge=0, le=5)
    cloze: bool = Field(True, description="also score the answer texts themselves (zero-shot)")
    chat: bool = Field(False, description="also ask for letters by the model's chat template")
    groups: bool | None = Field(
        None, description="also the four groups' accuracy; by default unless path is given"
    )
    items_per_subject: PositiveInt | None = Field(None, description="all when absent")
    subjects: tuple[str, ...] | None = None
    path: str | None = Field(None, description="folder with dev and test files of your own")
    batch_tokens: PositiveInt = 2048

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {
            **LETTERS,
            **self._grouped(),
            **(CHAT if self.chat else {}),
            **(CLOZE if self.cloze else {}),
        }

    def _grouped(self) -> dict[str, Metric]:
        if not (self.path is None if self.groups is None else self.groups):
            return {}
        asked = GROUPS if self.subjects is None else {GROUP_OF.get(s) for s in self.subjects}
        return {name: metric for name, metric in GROUPED.items() if name in asked}
