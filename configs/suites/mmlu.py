"""MMLU and its 57 subjects in four groups."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import ADVANTAGE, DIVERGENCE, LOG_PROB, LOG_PROB_PER_BYTE, Metric
from configs.section import Name
from configs.suites.base import SuiteSection

STEM = (
    "abstract_algebra",
    "anatomy",
    "astronomy",
    "college_biology",
    "college_chemistry",
    "college_computer_science",
    "college_mathematics",
    "college_physics",
    "computer_security",
    "conceptual_physics",
    "electrical_engineering",
    "elementary_mathematics",
    "high_school_biology",
    "high_school_chemistry",
    "high_school_computer_science",
    "high_school_mathematics",
    "high_school_physics",
    "high_school_statistics",
    "machine_learning",
)
HUMANITIES = (
    "formal_logic",
    "high_school_european_history",
    "high_school_us_history",
    "high_school_world_history",
    "international_law",
    "jurisprudence",
    "logical_fallacies",
    "moral_disputes",
    "moral_scenarios",
    "philosophy",
    "prehistory",
    "professional_law",
    "world_religions",
)
SOCIAL_SCIENCES = (
    "econometrics",
    "high_school_geography",
    "high_school_government_and_politics",
    "high_school_macroeconomics",
    "high_school_microeconomics",
    "high_school_psychology",
    "human_sexuality",
    "professional_psychology",
    "public_relations",
    "security_studies",
    "sociology",
    "us_foreign_policy",
)
OTHER = (
    "business_ethics",
    "clinical_knowledge",
    "college_medicine",
    "global_facts",
    "human_aging",
    "management",
    "marketing",
    "medical_genetics",
    "miscellaneous",
    "nutrition",
    "professional_accounting",
    "professional_medicine",
    "virology",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "stem": STEM,
    "humanities": HUMANITIES,
    "social_sciences": SOCIAL_SCIENCES,
    "other": OTHER,
}
GROUP_OF: dict[str, str] = {subject: name for name, group in GROUPS.items() for subject in group}


LETTERS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.25),
    "gold_logprob": Metric("higher", "mean", span=LOG_PROB),
    "advantage": Metric("higher", "mean", span=ADVANTAGE),
    "kl_from_base": Metric("lower", "mean", span=DIVERGENCE, paired=True),
    "gold_margin": Metric("higher", "mean"),
    "letter_mass": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "ece": Metric("lower", "ratio", None, (0.0, 1.0), interval=False),
    "brier": Metric("lower", "mean", None, (0.0, 2.0)),
}
CLOZE: dict[str, Metric] = {
    "cloze_accuracy": Metric("higher", "proportion", 0.25),
    "cloze_margin": Metric("higher", "mean"),
    "cloze_gold_logprob": Metric("higher", "mean", span=LOG_PROB_PER_BYTE),
    "cloze_advantage": Metric("higher", "mean", span=ADVANTAGE),
    "cloze_kl_from_base": Metric("lower", "mean", span=DIVERGENCE, paired=True),
}
CHAT: dict[str, Metric] = {
    "chat_accuracy": Metric("higher", "proportion", 0.25),
    "chat_gold_logprob": Metric("higher", "mean", span=LOG_PROB),
    "chat_gold_margin": Metric("higher", "mean"),
    "chat_letter_mass": Metric("higher", "mean", 0.0, (0.0, 1.0)),
}
GROUPED: dict[str, Metric] = {name: Metric("higher", "proportion", 0.25) for name in GROUPS}


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

    METRICS: ClassVar[dict[str, Metric]] = {**LETTERS, **CLOZE, **CHAT, **GROUPED}

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
