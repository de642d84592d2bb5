"""Every metric a suite gives: its direction and how it is computed from the per-item table."""

from typing import Literal, NamedTuple

Estimator = Literal["proportion", "mean", "f1", "ratio"]


class Metric(NamedTuple):
    """What a metric is.

    Attributes:
        better: Which way is better.
        estimator: ``proportion`` (mean of 0/1), ``mean`` (of reals), ``f1`` (of gold and
            prediction over a fixed label list) or ``ratio`` (of two sums).
        chance: Value without any knowledge, where there is one; a loss can't be seen from there.
    """

    better: Literal["higher", "lower"]
    estimator: Estimator
    chance: float | None = None


CLASSIFICATION: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.0),
    "macro_f1": Metric("higher", "f1", 0.0),
    "micro_f1": Metric("higher", "f1", 0.0),
    "weighted_f1": Metric("higher", "f1", 0.0),
    "invalid_rate": Metric("lower", "proportion"),
}
LETTERS: dict[str, Metric] = {
    "accuracy": Metric("higher", "proportion", 0.25),
    "gold_logprob": Metric("higher", "mean"),
    "gold_margin": Metric("higher", "mean"),
    "letter_mass": Metric("higher", "mean"),
}
CLOZE: dict[str, Metric] = {
    "cloze_accuracy": Metric("higher", "proportion", 0.25),
    "cloze_margin": Metric("higher", "mean"),
    "cloze_gold_logprob": Metric("higher", "mean"),
}
MMLU: dict[str, Metric] = {**LETTERS, **CLOZE}
BITS_PER_BYTE: dict[str, Metric] = {"bits_per_byte": Metric("lower", "ratio")}
