"""Gates: what the candidate must show, against which model, and what if it can't be told."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, PositiveInt

from configs.models import Model
from configs.section import Name, Section
from configs.suites.base import SuiteSection

AnySuite = TypeVar("AnySuite", bound=SuiteSection)
Against = Literal["base", "original", "champion"]
Policy = Literal["block", "warn", "extend"]
FEWEST_A_CLASS = 5
"""Items a class needs before macro-F1's jackknife can be trusted."""


class _Gate(Section):
    metric: str = Field(pattern=r"^[^/]+/[^/]+$", description="suite/metric")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="one-sided error")
    on_inconclusive: Policy = Field(
        "block",
        description="block: the run's verdict is INCONCLUSIVE; warn: it is shown and doesn't "
        "count; extend: more items are asked and the gate is judged once more",
    )
    extend_times: PositiveInt = Field(
        4, ge=2, le=100, description="with extend: times as many items as the suite asks at first"
    )


class _Paired(_Gate):
    against: Against = Field(
        "base",
        description="base: what training started from; original: references.original, which "
        "stays the same over many trainings; champion: the released model",
    )
    discordance: float = Field(
        0.2,
        gt=0,
        le=1,
        description="share of items on which the two models are taken to differ, before any is "
        "asked: a margin that the suite can't resolve then is refused",
    )


class ImproveGate(_Paired):
    """The candidate must be better by more than ``by`` (superiority)."""

    rule: Literal["improve"]
    by: float = Field(0.0, ge=0)


class HoldGate(_Paired):
    """The candidate may be worse by less than ``margin`` (non-inferiority)."""

    rule: Literal["hold"]
    margin: float = Field(gt=0)


class FloorGate(_Gate):
    """The candidate's own metric must be better than ``at``, whatever other models do.

    Above ``at`` where higher is better, below it where lower is: a floor of accuracy, a ceiling of
    over-refusal.
    """

    rule: Literal["floor"]
    at: float


Gate = Annotated[ImproveGate | HoldGate | FloorGate, Field(discriminator="rule")]


class References(Section):
    """The models that gates name beside the base.

    Small losses add up unseen when every training is compared with the one before alone: the
    original is the same model for good, the champion is the one that was last let through.
    """

    original: Model | None = Field(None, description="the recipe's model when absent")
    champion: Name | None = Field(
        None, description="registered model whose alias champion is meant; the recipe's name"
    )


def multiply_item_limit(suite: AnySuite, times: int) -> AnySuite:
    """Return the suite asking ``times`` as many items; the first ones stay among them."""
    limit = suite.item_limit()
    if suite.LIMIT is None or limit is None:
        return suite
    return suite.model_copy(update={suite.LIMIT: limit * times})
