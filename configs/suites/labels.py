"""Metrics of labels: one an item, several an item, and labels with levels."""

from configs.metrics import Metric

SEVERAL: dict[str, Metric] = {
    "exact_match": Metric("higher", "proportion", 0.0),
    "precision": Metric("higher", "ratio", 0.0),
    "recall": Metric("higher", "ratio", 0.0),
    "micro_f1": Metric("higher", "ratio", 0.0),
    "macro_f1": Metric("higher", "f1", 0.0),
    "weighted_f1": Metric("higher", "f1", 0.0),
    "off_list": Metric("lower", "proportion"),
    "broken": Metric("lower", "proportion"),
}
MOST_LEVELS = 8


def level_metrics(levels: int, *, several: bool) -> dict[str, Metric]:
    """Return the metrics of each level of a label's path, ``e1_...`` being the coarsest.

    Args:
        levels: Levels of a full path; one has no metrics of its own.
        several: Whether an item may have several labels.
    """
    if levels < 2:
        return {}
    named = {
        "micro_f1": Metric("higher", "ratio" if several else "f1", 0.0),
        "macro_f1": Metric("higher", "f1", 0.0),
        "weighted_f1": Metric("higher", "f1", 0.0),
    }
    return {f"e{k}_{name}": metric for k in range(1, levels + 1) for name, metric in named.items()}
