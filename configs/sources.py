"""Where rows come from: files, the Hugging Face hub, or the base model's own answers."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from configs.rewriting import Rewrite
from configs.section import Name, Section

Role = Literal["domain", "general"]
RowFormat = Literal[
    "auto",
    "messages",
    "converse",
    "sharegpt",
    "alpaca",
    "completion",
    "text",
    "columns",
    "dpo",
    "rft",
]
Category = Literal[
    "chat", "instruction-following", "reasoning", "math", "code", "factuality", "safety"
]
CATEGORIES: tuple[Category, ...] = (
    "chat",
    "instruction-following",
    "reasoning",
    "math",
    "code",
    "factuality",
    "safety",
)


class Split(Section):
    """How a source's rows are divided by use, once, before anything is trained.

    A path takes the place of the fraction of the same name: the rows of that file are the split.
    """

    dev: float = Field(0.05, ge=0, le=0.5, description="fraction of rows to choose on")
    test: float = Field(0.1, ge=0, le=0.5, description="fraction of rows to judge on")
    dev_path: str | None = None
    test_path: str | None = None
    stratify: bool = Field(True, description="keep each label's fraction (rows with a label)")
    group_by: str | None = Field(
        None, min_length=1, description="column of a customer or thread, whose rows stay together"
    )
    time: str | None = Field(
        None,
        min_length=1,
        description="column of a date: the latest rows are test, then dev; labels don't matter",
    )


class Limits(Section):
    """How much a source's files may ask of this machine before they are refused.

    A small file can unpack to more than any disk holds; the limits on what is unpacked apply as it
    is read, so that nothing has to fit in memory to be refused.
    """

    line_bytes: PositiveInt = Field(32 << 20, description="longest line; a longer one is set aside")
    json_bytes: PositiveInt = Field(1 << 30, description="largest .json file, which is read whole")
    unpacked_bytes: PositiveInt = Field(1 << 38, description="most bytes that one file unpacks to")
    unpacked_ratio: PositiveFloat = Field(
        300, description="most bytes unpacked for one byte stored, beyond the first 64 MiB"
    )


class StoredSource(Section):
    """What every source that is read from storage shares, whatever its kind."""

    name: Name
    role: Role
    weight: PositiveFloat = Field(1.0, description="relative to the other sources of its role")
    category: str | None = None
    licence: str | None = None
    format: RowFormat = "auto"
    columns: dict[Literal["prompt", "completion", "text", "system", "label", "group"], str] = Field(
        default_factory=dict,
        description="our field -> your column, or a template such as 'Classify: {review}'",
    )
    system: str | None = Field(
        None, min_length=1, description="system message for every chat row that has none"
    )
    limit: PositiveInt | None = Field(None, description="take this many training rows, by seed")
    rewrite: Rewrite | None = Field(
        None, description="train on its targets in the base model's own words; domain sources only"
    )
    split: Split = Split()
    limits: Limits = Limits()
    kind: str
    path: str

    @model_validator(mode="after")
    def _columns_say_enough(self) -> "StoredSource":
        if self.format == "columns" and not self.columns:
            raise ValueError("format 'columns' needs a columns: mapping")
        if self.columns and self.format not in ("auto", "columns"):
            raise ValueError(f"columns: goes with format 'columns' or 'auto', not '{self.format}'")
        if self.columns and not (
            {"text"} <= self.columns.keys() or {"prompt", "completion"} <= self.columns.keys()
        ):
            raise ValueError("columns: needs 'text', or both 'prompt' and 'completion'")
        return self


class FilesSource(StoredSource):
    """JSONL, JSON, CSV, Parquet or Arrow; a file, a folder or a glob; local, s3:// or package:."""

    kind: Literal["files"]
    path: str


class HubSource(StoredSource):
    """A dataset of the Hugging Face hub at a pinned commit."""

    kind: Literal["hub"]
    path: str = Field(description="repository id, e.g. HuggingFaceTB/smoltalk")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$", description="full commit hash")
    subset: str | None = None
    hub_split: str = "train"


class RehearsalSource(Section):
    """The base model's own answers to the shipped prompts: general data for those who have none."""

    kind: Literal["rehearsal"]
    name: Name
    role: Literal["general"] = "general"
    weight: PositiveFloat = 1.0
    category: Category | None = Field(None, description="only this category's prompts")
    temperature: float = Field(0.8, ge=0, le=2)
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(128, ge=8, le=2048)
    max_samples: int = Field(8, ge=1, le=64, description="answers a prompt at the most")
    batch_size: int = Field(32, ge=1, le=512)
    licence: str | None = "own-output"
    split: Split = Split(dev=0, test=0)


class NovaSource(Section):
    """Data of Amazon Nova's own, mixed in by its service: general data that nobody else sees.

    Without a category it is AWS's default mix for the model, and then the only one of its kind.
    """

    kind: Literal["nova"]
    name: Name
    role: Literal["general"] = "general"
    weight: PositiveFloat = Field(1.0, description="relative to the other general sources")
    category: str | None = Field(None, min_length=1)
    licence: str | None = "nova"
    split: Split = Split(dev=0, test=0)


Source = Annotated[
    FilesSource | HubSource | RehearsalSource | NovaSource, Field(discriminator="kind")
]
