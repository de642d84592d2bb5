"""What the sections of suites that read records of their own have in common."""

from typing import ClassVar

from pydantic import Field, PositiveInt, model_validator

from configs.section import Name
from configs.suites.base import SuiteSection


class OwnItems(SuiteSection):
    """A suite whose items are the records of files, or of a data set of the hub at a commit.

    Attributes:
        PUBLISHED: The data set that is read where neither ``path`` nor ``hub`` is given: its id,
            commit and split.
    """

    PUBLISHED: ClassVar[tuple[str, str, str] | None] = None
    FREE: ClassVar[frozenset[str]] = SuiteSection.FREE | {
        "dev_path",
        "hub",
        "revision",
        "subset",
        "hub_split",
    }

    name: Name
    path: str | None = Field(None, description="a file, folder, glob or package: path")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    hub: str | None = Field(None, description="or a data set of the hub, OWNER/NAME")
    revision: str | None = Field(None, description="its commit")
    subset: str | None = Field(None, description="its configuration, where it has several")
    hub_split: str = Field("test", description="the hub's name of the split")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")

    @model_validator(mode="after")
    def _one_place(self) -> "OwnItems":
        if self.path is not None and self.hub is not None:
            raise ValueError("give path or hub, not both")
        if self.path is None and self.hub is None and self.PUBLISHED is None:
            raise ValueError("give path (a file, folder, glob or package: path), or hub")
        if self.hub is not None and self.revision is None:
            raise ValueError("a data set of the hub needs its commit: set revision")
        return self


class Answering(OwnItems):
    """One that has the model write."""

    max_new_tokens: PositiveInt = Field(512, le=8192, description="tokens of an answer")
    batch_size: PositiveInt = 16
