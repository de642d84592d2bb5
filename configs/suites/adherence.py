"""Adherence to a system prompt, to a procedure or policy, and to the passage given."""

from typing import ClassVar, Literal

from configs.metrics import Metric
from configs.suites.own_items import Answering

METRICS: dict[str, Metric] = {
    "kept": Metric("higher", "proportion", 0.0),
    "checks_kept": Metric("higher", "proportion", 0.0),
}


class AdherenceSuite(Answering):
    """Your own items, each with checks that a rule decides.

    A record has ``prompt`` (a text) or ``messages``, and may have ``system``, ``passage`` (put
    before the prompt), ``category``, ``group`` (of items that depend on each other) and ``checks``,
    an object with at least one of:

    - ``required``: texts that the answer holds; ``any_of``: of which it holds one;
    - ``forbidden``: texts that it doesn't hold;
    - ``cited``: texts of the passage that the answer quotes word for word;
    - ``quotes``: the least number of quotations, each of which must stand in the passage;
    - ``json_schema``: a JSON schema (draft 2020-12) that the answer, as JSON, satisfies;
    - ``max_words``, ``min_words``;
    - ``instructions``: a list of ``{"id": ..., "kwargs": {...}}`` of IFEval's rules.

    Texts are compared without regard to case and runs of space, as words: ``cat`` isn't in
    ``category``. ``kept`` counts items with all checks kept, ``checks_kept`` single checks.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["adherence"]
