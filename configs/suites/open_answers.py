"""Open answers: free text against one or more references."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

METRICS: dict[str, Metric] = {
    "exact": Metric("higher", "proportion", 0.0),
    "quasi_exact": Metric("higher", "proportion", 0.0),
    "token_f1": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "rouge_l": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "bleu": Metric("higher", "ratio", 0.0),
}


class Questions(SuiteSection):
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
    def _one_origin(self) -> "Questions":
        if (self.source is None) == (self.path is None):
            raise ValueError("give exactly one of source and path")
        return self


class OpenAnswersSuite(Questions):
    """Free answers by generation, compared with references by their words.

    ``exact`` (but for space around it), ``quasi_exact`` and ``token_f1`` (SQuAD's normal form:
    Rajpurkar et al. 2016), ``rouge_l`` (Lin 2004, F-measure without stemming, by rouge-score) and
    ``bleu`` (Papineni et al. 2002, of all answers together, by sacrebleu; between 0 and 1). Of
    several references the best counts, for BLEU all of them.

    The items are the held-out rows of a source (the reference is the last assistant message), or
    the records of a file: a question, an answer or a list of answers, and a system message where
    the file has one.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["open_answers"]
    metrics: tuple[Literal["exact", "quasi_exact", "token_f1", "rouge_l", "bleu"], ...] = Field(
        ("exact", "quasi_exact", "token_f1", "rouge_l", "bleu"), min_length=1
    )
    bleu_words: Literal["13a", "intl", "char", "zh", "ja-mecab", "ko-mecab"] = Field(
        "13a", description="sacrebleu's tokeniser: char or zh where words aren't spaced"
    )

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {name: METRICS[name] for name in self.metrics}
