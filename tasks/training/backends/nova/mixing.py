"""Shares of a recipe as Nova's percentages: exact arithmetic on a grid of 0.0001 percent."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from configs.nova import Percentages
from configs.recipe import Recipe
from configs.sources import NovaSource

GRID = 10_000
"""Steps of one percent."""

FLAT = "nova_{}_percent"
CUSTOMER = "customer_data_percent"


class NovaMix(NamedTuple):
    """What part of the rows is whose.

    Attributes:
        customer: Percent of the whole that the recipe's own sources are.
        nova: Category -> percent of the Nova part, every known category named; None for AWS's
            default mix.
    """

    customer: Decimal
    nova: dict[str, Decimal] | None

    def flat(self) -> dict[str, str]:
        """Return the hyperparameters of a serverless job; all categories, or none."""
        named = {FLAT.format(c): plain(p) for c, p in (self.nova or {}).items()}
        return {CUSTOMER: plain(self.customer), **named}

    def nested(self, defaults: Percentages) -> dict[str, Any]:
        """Return the ``data_mixing`` section of a HyperPod recipe."""
        parts = self.nova or {c: Decimal(str(p)) for c, p in defaults.items()}
        return {
            "sources": {
                "customer_data": {"percent": float(self.customer)},
                "nova_data": {c: float(p) for c, p in parts.items()},
            }
        }


def plain(percent: Decimal) -> str:
    """Return a percentage as the service's examples write it: no exponent, no idle zeros."""
    text = f"{percent:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def mix_of(recipe: Recipe) -> NovaMix | None:
    """Return how the recipe's rows divide; None when it has no sources of Nova's.

    The general sources, own and Nova's, divide ``1 - domain_share`` by weight.
    """
    theirs = [s for s in recipe.sources if isinstance(s, NovaSource)]
    if not theirs:
        return None
    share = nova_share(recipe)
    customer = Decimal(_grid(100 * (1 - share))) / GRID
    if theirs[0].category is None:
        return NovaMix(customer, None)
    backend = recipe.training.backend
    assert backend.kind == "nova"
    weights = {str(s.category): Fraction(str(s.weight)) for s in theirs}
    return NovaMix(customer, percentages(weights, tuple(backend.data_categories)))


def nova_share(recipe: Recipe) -> Fraction:
    """Return the part of all rows that is Nova's, of 1."""
    general = [s for s in recipe.sources if s.role == "general"]
    total = sum((Fraction(str(s.weight)) for s in general), Fraction(0))
    theirs = sum(
        (Fraction(str(s.weight)) for s in general if isinstance(s, NovaSource)), Fraction(0)
    )
    rest = 1 - Fraction(str(recipe.mixture.domain_share))
    return rest * theirs / total if total else Fraction(0)


def percentages(weights: Mapping[str, Fraction], known: Sequence[str]) -> dict[str, Decimal]:
    """Return percentages in proportion to weights that sum to exactly 100; the others are 0.

    Rounded by largest remainder on the grid, so that the sum survives being added up as floats.

    Raises:
        ValueError: A category is unknown, or so small that nothing is left of it.
    """
    check_known(weights, known)
    total = sum(weights.values(), Fraction(0))
    exact = {c: 100 * GRID * w / total for c, w in weights.items()}
    steps = {c: int(e) for c, e in exact.items()}
    left = 100 * GRID - sum(steps.values())
    for category in sorted(exact, key=lambda c: (steps[c] - exact[c], c))[:left]:
        steps[category] += 1
    empty = [c for c, n in steps.items() if not n]
    if empty:
        raise ValueError(f"category '{empty[0]}' is under 0.0001 percent of Nova's data")
    return {c: Decimal(steps.get(c, 0)) / GRID for c in known}


def check_known(given: Mapping[str, object], known: Sequence[str]) -> None:
    """Refuse categories that a model doesn't have.

    Raises:
        ValueError: Naming them and the ones there are.
    """
    strange = sorted(set(given) - set(known))
    if strange:
        raise ValueError(f"no such category: {', '.join(strange)}; there are {', '.join(known)}")


def check_mix(customer: float, nova: Mapping[str, float] | None, known: Percentages) -> None:
    """Hold percentages to all the rules, those included that the SDK leaves to the service.

    Raises:
        ValueError: A number is outside 0 to 100; a category is unknown; Nova's percentages don't
            sum to 100 although the customer's are under 100; or aren't 0 although they are 100.
    """
    numbers = {CUSTOMER: customer, **(nova or {})}
    outside = [n for n, p in numbers.items() if not 0 <= p <= 100]
    if outside:
        raise ValueError(f"{outside[0]} is {numbers[outside[0]]:g}, outside 0 to 100")
    if nova is None:
        return
    check_known(nova, list(known))
    total = sum(nova.values())
    if customer == 100 and total:
        raise ValueError(f"Nova's percentages sum to {total:g} although no such data is used")
    if customer < 100 and abs(total - 100) > 1e-9:
        raise ValueError(f"Nova's percentages sum to {total:.10g}, not 100")


def _grid(percent: Fraction) -> int:
    return round(percent * GRID)


def own_part(recipe: Recipe) -> Recipe:
    """Return the recipe of the rows that the customer gives: no Nova sources, shares rescaled."""
    share = nova_share(recipe)
    own = tuple(s for s in recipe.sources if not isinstance(s, NovaSource))
    if not share:
        return recipe.model_copy(update={"sources": own})
    domain = Fraction(str(recipe.mixture.domain_share)) / (1 - share)
    size = recipe.mixture.size
    if size.budget is not None:
        size = size.model_copy(update={"budget": round(size.budget * (1 - share))})
    mixture = recipe.mixture.model_copy(update={"domain_share": float(domain), "size": size})
    return recipe.model_copy(update={"sources": own, "mixture": mixture})
