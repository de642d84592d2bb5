"""IFEval."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.metrics import Metric
from configs.suites.own_items import Answering

METRICS: dict[str, Metric] = {
    "prompt_strict": Metric("higher", "proportion", 0.0),
    "prompt_loose": Metric("higher", "proportion", 0.0),
    "instruction_strict": Metric("higher", "proportion", 0.0),
    "instruction_loose": Metric("higher", "proportion", 0.0),
}


class IfevalSuite(Answering):
    """IFEval (Zhou et al. 2023, arXiv 2311.07911): 541 prompts whose instructions rules check.

    As lm-evaluation-harness 0.4.13 ``ifeval``: the prompt alone, greedy, at most 1,280 tokens, with
    the verdicts of its 25 rules. Of the prompts ``prompt_*`` counts those with every instruction
    kept, ``instruction_*`` counts instructions; ``*_loose`` forgives a line around the answer and
    asterisks. A record has ``prompt``, ``instruction_id_list`` and ``kwargs`` (a list of objects,
    one an instruction). Needs the extra ``ifeval``.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS
    PUBLISHED: ClassVar[tuple[str, str, str]] = (
        "google/IFEval",
        "966cd89545d6b6acfd7638bc708b98261ca58e84",
        "train",
    )

    kind: Literal["ifeval"]
    max_new_tokens: PositiveInt = Field(1280, le=8192, description="tokens of an answer")
