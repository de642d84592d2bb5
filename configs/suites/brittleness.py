"""How much a score hangs on the wording of the prompt."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name
from configs.suites.base import SuiteSection

METRICS: dict[str, Metric] = {
    "mean_accuracy": Metric("higher", "mean", 0.0, (0.0, 1.0)),
    "worst_accuracy": Metric("higher", "proportion", 0.0),
    "best_accuracy": Metric("higher", "proportion", 0.0),
    "spread": Metric("lower", "mean", None, (-1.0, 1.0)),
    "always_right": Metric("higher", "proportion", 0.0),
    "disagreement": Metric("lower", "proportion"),
}


class BrittlenessSuite(SuiteSection):
    """Every item under several templates that say the same (Sclar et al. 2024, arXiv 2310.11324).

    The items are those of a single-label classification (``source``: the model writes the label) or
    of multiple choice (``path``: a file with question, choices and answer; the likeliest letter or
    number is taken). ``mean_accuracy`` is over all templates, ``worst_accuracy`` and
    ``best_accuracy`` are those of the template with the lowest and the highest accuracy on these
    items, ``spread`` is the one minus the other, ``always_right`` counts items that are right under
    every template, and ``disagreement`` items whose prediction isn't the same under all. Which
    template is worst is decided by the same items, so that the interval of ``worst_accuracy`` holds
    for that template and says nothing of the choice.
    """

    METRICS: ClassVar[dict[str, Metric]] = METRICS

    kind: Literal["brittleness"]
    name: Name
    source: Name | None = Field(None, description="classification: held-out rows of this source")
    path: str | None = Field(None, description="or multiple choice: a file, folder or glob")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    labels: tuple[str, ...] | None = Field(None, description="of a classification; as found")
    templates: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=2,
        description="with {prompt} once (classification) or {question} and {choices} once; "
        "eight of ours when absent",
    )
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: PositiveInt = Field(32, le=512, description="tokens of a label")
    batch_size: PositiveInt = 32
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _templates_ask(self) -> "BrittlenessSuite":
        if (self.source is None) == (self.path is None):
            raise ValueError("give exactly one of source and path")
        needed = ("{prompt}",) if self.source else ("{question}", "{choices}")
        for template in self.templates or ():
            if any(template.count(field) != 1 for field in needed):
                raise ValueError(f"a template holds {' and '.join(needed)} exactly once")
        if len(set(self.templates or ())) < len(self.templates or ()):
            raise ValueError("a template is given twice")
        return self
