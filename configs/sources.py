"""Where rows come from: files, the Hugging Face hub, or the base model's own answers."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from configs.limits import Limits
from configs.quality import Quality
from configs.section import Name, Section, rule_error

PLACEHOLDERS = ("{prompt}", "{answer}")
REWRITE_TEMPLATE = (
    "{prompt}\n\n"
    "Here is a correct answer to the message above, for you to go by:\n\n"
    "{answer}\n\n"
    "Now answer the message yourself, in your own words. Keep every fact, name and number of that "
    "answer, add none, and write your answer alone."
)


class Rewrite(Section):
    """Self-distillation fine-tuning (SDFT, Yang et al. 2024, arXiv:2402.13669).

    The base model is shown each prompt with its reference answer and says the same in its own
    words; a rewriting that passes the checks is trained on in the reference's stead. It pulls the
    model less far from what it was, at the price of one generation a target. It helps where targets
    are free text in another style than the model's. It does nothing where they are labels, which
    stay as they are, and it teaches nothing that the base can't say when it is shown the answer.
    """

    template: str = Field(
        REWRITE_TEMPLATE,
        description="what the base is asked: {prompt} is the user's message, {answer} the "
        "reference, each once",
    )
    max_new_tokens: PositiveInt = Field(256, le=4096, description="longer rewritings are not used")
    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest words")
    top_p: float = Field(1.0, gt=0, le=1)
    batch_size: PositiveInt = Field(16, le=512)
    min_overlap: float = Field(
        0.3, ge=0, le=1, description="least share of the reference's words that a rewriting keeps"
    )

    @field_validator("template")
    @classmethod
    def _has_its_places(cls, template: str) -> str:
        for place in PLACEHOLDERS:
            if template.count(place) != 1:
                raise rule_error(
                    f"the template has {place} {template.count(place)} times.",
                    fix="write it once, where it is to be filled in.",
                )
        return template


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
    dev_field: str | None = Field(
        None, min_length=1, description="where in a .json file (dev_path, else path) its rows are"
    )
    test_field: str | None = Field(
        None, min_length=1, description="the same for test_path, else path"
    )
    stratify: bool = Field(True, description="keep each label's fraction (rows with a label)")
    group_by: str | None = Field(
        None, min_length=1, description="column of a customer or thread, whose rows stay together"
    )
    time: str | None = Field(
        None,
        min_length=1,
        description="column of a date: the latest rows are test, then dev; labels don't matter",
    )


class StoredSource(Section):
    """What every source that is read from storage shares, whatever its kind."""

    name: Name
    role: Role
    weight: PositiveFloat = Field(1.0, description="relative to the other sources of its role")
    category: str | None = None
    licence: str | None = None
    format: RowFormat = "auto"
    columns: dict[
        Literal["prompt", "completion", "text", "messages", "system", "label", "group"], str
    ] = Field(
        default_factory=dict,
        description="our field -> your column, or a template such as 'Classify: {review}'; "
        "messages: the column of a conversation",
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
    quality: Quality | None = Field(
        None, description="what differs for this source from the recipe's quality, key by key"
    )
    kind: str
    path: str

    @model_validator(mode="after")
    def _fields_have_files(self) -> "StoredSource":
        for name in ("dev", "test"):
            field, path = getattr(self.split, f"{name}_field"), getattr(self.split, f"{name}_path")
            if field is not None and path is None and self.kind != "files":
                raise rule_error(f"{name}_field needs {name}_path", path=("split", f"{name}_field"))
        return self

    @model_validator(mode="after")
    def _quality_is_its_own(self) -> "StoredSource":
        shared = self.quality.model_fields_set & {"near_duplicates"} if self.quality else set()
        if shared:
            raise rule_error(
                "near_duplicates compares all sources, so that one can't have its own",
                path=("quality", "near_duplicates"),
                fix="write it in the recipe's quality.",
            )
        return self

    @model_validator(mode="after")
    def _columns_say_enough(self) -> "StoredSource":
        if self.format == "columns" and not self.columns:
            raise rule_error("format 'columns' needs a columns: mapping")
        if self.columns and self.format not in ("auto", "columns"):
            raise rule_error(f"columns: goes with format 'columns' or 'auto', not '{self.format}'")
        if self.columns and not (
            {"text", "messages"} & self.columns.keys()
            or {"prompt", "completion"} <= self.columns.keys()
        ):
            raise rule_error("columns: needs 'text', 'messages', or both 'prompt' and 'completion'")
        return self


class FilesSource(StoredSource):
    """JSONL, JSON, CSV, Parquet or Arrow; a file, a folder or a glob; local, s3:// or package:."""

    kind: Literal["files"]
    path: str
    field: str | None = Field(
        None,
        min_length=1,
        description="where inside a .json file the rows are: data, splits.train, parts[0].rows",
    )


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
