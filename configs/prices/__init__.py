"""Prices of machines: a dated table that a user can replace."""

from datetime import date
from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, PositiveFloat, ValidationError

from configs.errors import SetupError
from configs.section import Section
from configs.settings import Settings

SHIPPED_PRICES = Path(__file__).parent / "sagemaker.yaml"


class Prices(Section):
    """Hourly prices and where they are from.

    Attributes:
        spot_share: What a spot machine costs, of the on-demand price.
        hourly: Instance type -> price of an hour, in ``currency``.
    """

    currency: str
    region: str
    as_of: date
    source: str
    spot_share: float = Field(gt=0, le=1)
    hourly: dict[str, PositiveFloat]


def read_prices() -> Prices:
    """Return the user's table (TEMPER_PRICES), else the shipped one.

    Raises:
        SetupError: The file isn't there, or isn't such a table.
    """
    return _read(Settings().prices or SHIPPED_PRICES)


@cache
def _read(path: Path) -> Prices:
    try:
        return Prices.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValidationError, yaml.YAMLError) as error:
        raise SetupError(
            f"the price table can't be used: {error}",
            where=str(path),
            fix=f"start from a copy of {SHIPPED_PRICES}.",
        ) from error
