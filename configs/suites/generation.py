"""Suites of free answers: against references, by another model as judge, and GSM8K."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.models import BedrockModel, Endpoint, SageMakerEndpoint
from configs.section import Name, rule_error
from configs.suites.base import SuiteSection


class ReferenceSuite(SuiteSection):
    """Questions and their references: held-out rows of a source, or records of a file."""

    name: Name
    source: Name | None = Field(None, description="held-out rows of this source")
    path: str | None = Field(None, description="or a file, folder, glob or package: path")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    question: str = Field("query", description="column of the question, of the file at path")
    answer: str = Field("response", description="column of the reference, or of a list of them")
    system: str = Field("system", description="column of a system message, where there is one")
    group: str | None = Field(None, description="column of what items that depend share")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: int = Field(256, ge=1, le=8192)
    batch_size: PositiveInt = 16

    @model_validator(mode="after")
    def _one_origin(self) -> "ReferenceSuite":
        if (self.source is None) == (self.path is None):
            raise rule_error("give exactly one of source and path")
        return self


class OpenAnswersSuite(ReferenceSuite):
    """Free answers by generation, compared with references by their words.

    ``exact`` (but for space around it), ``quasi_exact`` and ``token_f1`` (SQuAD's normal form:
    Rajpurkar et al. 2016), ``rouge_l`` (Lin 2004, F-measure without stemming, by rouge-score) and
    ``bleu`` (Papineni et al. 2002, of all answers together, by sacrebleu; between 0 and 1). Of
    several references the best counts, for BLEU all of them.

    The items are the held-out rows of a source (the reference is the last assistant message), or
    the records of a file: a question, an answer or a list of answers, and a system message where
    the file has one.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        "exact": Metric("higher", "proportion", 0.0),
        "quasi_exact": Metric("higher", "proportion", 0.0),
        "token_f1": Metric("higher", "mean", 0.0, (0.0, 1.0)),
        "rouge_l": Metric("higher", "mean", 0.0, (0.0, 1.0)),
        "bleu": Metric("higher", "ratio", 0.0, forms=("open",), read="bleu"),
    }

    kind: Literal["open_answers"]
    metrics: tuple[Literal["exact", "quasi_exact", "token_f1", "rouge_l", "bleu"], ...] = Field(
        ("exact", "quasi_exact", "token_f1", "rouge_l", "bleu"), min_length=1
    )
    bleu_words: Literal["13a", "intl", "char", "zh", "ja-mecab", "ko-mecab"] = Field(
        "13a", description="sacrebleu's tokeniser: char or zh where words aren't spaced"
    )

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {name: self.METRICS[name] for name in self.metrics}


PAIRWISE: dict[str, Metric] = {
    "win_rate": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "wins": Metric("higher", "proportion"),
    "losses": Metric("lower", "proportion"),
    "order_decides": Metric("lower", "proportion"),
    "unjudged": Metric("lower", "proportion"),
}
RUBRIC: dict[str, Metric] = {
    "rubric_score": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "unjudged": Metric("lower", "proportion"),
}
Judge = Annotated[Endpoint | BedrockModel | SageMakerEndpoint, Field(discriminator="kind")]


class JudgeSuite(ReferenceSuite):
    """Answers judged by a model that is served elsewhere (Zheng et al. 2023).

    ``pairwise``: the judge compares each answer with the reference, in both orders, and
    ``win_rate`` is 1 where the answer wins in both, 0 where it loses in both, else 1/2.
    ``order_decides`` is how often the verdict follows the position, so a judge that always says
    "first" shows itself. ``rubric``: the judge gives a score from 1 to ``scale`` by your rubric, of
    which ``rubric_score`` runs from 0 (the judge's 1) to 1 (its ``scale``). An item whose verdict
    can't be read is left out of these figures and counted in ``unjudged``; with more than
    ``max_unjudged`` of them the suite is refused: it would be no evidence.

    A judge is a model: it has biases of its own (towards length, and towards answers like its own),
    and none of these figures is what people would say. Compare models by the same judge only.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**PAIRWISE, **RUBRIC}

    kind: Literal["judge"]
    judge: Judge = Field(description="the model that judges, as it is served")
    mode: Literal["pairwise", "rubric"] = "pairwise"
    rubric: str = Field(
        "helpfulness, correctness, and following what the question asks for",
        min_length=1,
        description="what counts",
    )
    scale: int = Field(5, ge=2, le=100, description="best score of a rubric; 1 is the worst")
    max_unjudged: float = Field(
        0.1, ge=0, lt=1, description="share of items that may be without a verdict"
    )
    judge_tokens: int = Field(256, ge=16, le=4096, description="of a verdict with its reasons")

    @model_validator(mode="after")
    def _judge_is_named(self) -> "JudgeSuite":
        if self.judge.revision is None:
            raise rule_error("judge.revision says which judge it is: verdicts of two aren't one's")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return PAIRWISE if self.mode == "pairwise" else RUBRIC


class Gsm8kSuite(SuiteSection):
    """GSM8K (Cobbe et al. 2021) by generation, with worked examples before each question.

    As lm-evaluation-harness 0.4.13 ``gsm8k``: "Question: ...", "Answer:" on the next line, an empty
    line between examples, stopped at the next "Question:". ``strict`` reads the number after
    "#### ", ``flexible`` the last number of the answer; see ``tasks/metrics/text_scores.py``.
    The examples are the first of the training file; the harness draws others for each question.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        "strict": Metric("higher", "proportion", 0.0),
        "flexible": Metric("higher", "proportion", 0.0),
    }

    kind: Literal["gsm8k"]
    name: Name
    shots: int = Field(5, ge=0, le=16)
    chat: bool = Field(False, description="as turns of a conversation, by the chat template")
    path: str | None = Field(None, description="file of the questions; the hub when absent")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    examples: str | None = Field(None, description="file of the worked examples, with path")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: int = Field(256, ge=8, le=4096)
    batch_size: PositiveInt = 16
