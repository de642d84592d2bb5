"""The base every part of a recipe is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A name that is safe as a folder, a metric prefix and an MLflow key."""


class Section(BaseModel):
    """A frozen part of a recipe that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


YamlPath = tuple[str | int, ...]
"""Where a value stands: keys of mappings and numbers of list elements, from the outside in."""

RULE = "rule"
"""The type of the errors that rules of ours raise, as pydantic reports it."""


def rule_error(message: str, *, path: YamlPath = (), fix: str = "") -> PydanticCustomError:
    """Return the error of a rule between fields, for a validator to raise.

    Args:
        message: What is wrong.
        path: The value that is to blame, from the section whose validator raises.
        fix: What to change, one sentence.
    """
    text = f"{message} Fix: {fix}" if fix else message
    place = ".".join(str(part) for part in path)
    # The last entry alone is filled in; what a text quotes from a recipe is not a template.
    context = {"path": path, "message": message, "fix": fix}
    return PydanticCustomError(
        RULE, "{text}", {**context, "text": f"{place}: {text}" if place else text}
    )
