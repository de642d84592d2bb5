"""Multiple choice by the answers' texts and by their letters: ARC, HellaSwag, your own file."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import ADVANTAGE, DIVERGENCE, LOG_PROB, LOG_PROB_PER_BYTE, Metric
from configs.section import Name, rule_error
from configs.suites.base import SuiteSection

AnswerReading = Literal["any", "place", "letter", "text"]


def text_metrics(chance: float) -> dict[str, Metric]:
    """Return the metrics of answers chosen by their texts' log-probabilities."""
    return {
        "acc": Metric("higher", "proportion", chance),
        "acc_norm": Metric("higher", "proportion", chance),
        "cloze_margin": Metric("higher", "mean"),
        "cloze_gold_logprob": Metric("higher", "mean", span=LOG_PROB_PER_BYTE),
        "cloze_advantage": Metric("higher", "mean", span=ADVANTAGE),
        "cloze_kl_from_base": Metric("lower", "mean", span=DIVERGENCE, paired=True),
        "cloze_ece": Metric("lower", "ratio", None, (0.0, 1.0), interval=False),
        "cloze_brier": Metric("lower", "mean", None, (0.0, 2.0)),
    }


def letter_metrics(chance: float) -> dict[str, Metric]:
    """Return the metrics of answers chosen by their letters' log-probabilities."""
    return {
        "accuracy": Metric("higher", "proportion", chance),
        "gold_logprob": Metric("higher", "mean", span=LOG_PROB),
        "advantage": Metric("higher", "mean", span=ADVANTAGE),
        "kl_from_base": Metric("lower", "mean", span=DIVERGENCE, paired=True),
        "gold_margin": Metric("higher", "mean"),
        "letter_mass": Metric("higher", "mean", 0.0, (0.0, 1.0)),
        "ece": Metric("lower", "ratio", None, (0.0, 1.0), interval=False),
        "brier": Metric("lower", "mean", None, (0.0, 2.0)),
    }


class ChoiceSuite(SuiteSection):
    """What every multiple-choice suite has.

    By texts (Brown et al. 2020, section 2.4): the log-probability of each answer's text after the
    question, the likeliest chosen (``acc``) or the likeliest a character (``acc_norm``), as
    lm-evaluation-harness 0.4.13 does. By letters: the answers are listed with letters and the
    log-probability of each letter is taken, as in MMLU.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**letter_metrics(0.25), **text_metrics(0.25)}

    name: Name
    texts: bool = Field(True, description="choose among the answers' texts")
    letters: bool = Field(False, description="choose among letters, the answers being listed")
    path: str | None = Field(None, description="a file, folder, glob or package: path")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _some_form(self) -> "ChoiceSuite":
        if not (self.texts or self.letters):
            raise rule_error("choose by texts, by letters or by both")
        return self

    @property
    def chance_level(self) -> float:
        """Accuracy of a guess."""
        return 0.25

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        chance = self.chance_level
        return {
            **(letter_metrics(chance) if self.letters else {}),
            **(text_metrics(chance) if self.texts else {}),
        }


class ArcSuite(ChoiceSuite):
    """ARC (Clark et al. 2018): grade-school science questions with three to five answers.

    As lm-evaluation-harness 0.4.13 ``arc_easy`` and ``arc_challenge``, zero-shot.
    """

    kind: Literal["arc"]
    level: Literal["easy", "challenge"] = "challenge"


class HellaswagSuite(ChoiceSuite):
    """HellaSwag (Zellers et al. 2019): which of four endings comes next.

    As lm-evaluation-harness 0.4.13 ``hellaswag``, zero-shot. The published test set has no answers:
    the validation set is the test here, and the training set is what ``dev`` asks.
    """

    kind: Literal["hellaswag"]


class MultipleChoiceSuite(ChoiceSuite):
    """Multiple choice from a file of your own.

    A record has a question, its answers (a list, JSON text of one, ``{"text": [...], "label":
    [...]}`` as ARC has it, or one column each named A, B, C, ...) and which of them is right: its
    place counted from 0, its letter, its label or its text.
    """

    kind: Literal["multiple_choice"]
    path: str
    question: str = Field("question", description="column of the question")
    choices: str = Field("choices", description="column of the answers")
    answer: str = Field("answer", description="column of the right answer")
    answer_is: AnswerReading = Field(
        "any", description="how to read it; any: refused where two ways name different answers"
    )
    category: str | None = Field(None, description="column of a subject or category")
    group: str | None = Field(None, description="column of what items that depend share")
    prompt: str = Field(
        "Question: {question}\nAnswer:", description="what an answer follows; {question} once"
    )
    chance: float = Field(0.25, gt=0, lt=1, description="accuracy of a guess")

    @property
    def chance_level(self) -> float:
        """Accuracy of a guess."""
        return self.chance

    @model_validator(mode="after")
    def _prompt_asks(self) -> "MultipleChoiceSuite":
        if self.prompt.count("{question}") != 1:
            raise rule_error("prompt holds {question} exactly once")
        return self
