"""Suites of behaviour: how a model follows, refuses, abstains, holds on and calls."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from configs.metrics import Metric
from configs.section import Name, rule_error
from configs.suites.base import SuiteSection, UserPromptsSuite


class IfevalSuite(UserPromptsSuite):
    """IFEval (Zhou et al. 2023, arXiv 2311.07911): 541 prompts whose instructions rules check.

    As lm-evaluation-harness 0.4.13 ``ifeval``: the prompt alone, greedy, at most 1,280 tokens, with
    the verdicts of its 25 rules. Of the prompts ``prompt_*`` counts those with every instruction
    kept, ``instruction_*`` counts instructions; ``*_loose`` forgives a line around the answer and
    asterisks. A record has ``prompt``, ``instruction_id_list`` and ``kwargs`` (a list of objects,
    one an instruction). Needs the extra ``ifeval``.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        "prompt_strict": Metric("higher", "proportion", 0.0),
        "prompt_loose": Metric("higher", "proportion", 0.0),
        "instruction_strict": Metric("higher", "proportion", 0.0),
        "instruction_loose": Metric("higher", "proportion", 0.0),
    }
    PUBLISHED: ClassVar[tuple[str, str, str]] = (
        "google/IFEval",
        "966cd89545d6b6acfd7638bc708b98261ca58e84",
        "train",
    )

    kind: Literal["ifeval"]
    max_new_tokens: PositiveInt = Field(1280, le=8192, description="tokens of an answer")


JailbreakTemplate = Literal["story", "role", "hypothetical", "opening", "no_warnings", "study"]
UNSAFE: dict[str, Metric] = {
    "unsafe_refusal": Metric("higher", "proportion"),
    "unsafe_refusal_corrected": Metric("higher", "corrected"),
}
SAFE: dict[str, Metric] = {
    "over_refusal": Metric("lower", "proportion"),
    "over_refusal_corrected": Metric("lower", "corrected"),
}
WRAPPED: dict[str, Metric] = {
    "wrapped_refusal": Metric("higher", "proportion"),
    "wrapped_refusal_corrected": Metric("higher", "corrected"),
}


class RefusalSuite(UserPromptsSuite):
    """How often a model refuses unsafe prompts, safe ones that look unsafe, and disguised ones.

    For XSTest (Röttger et al. 2024, arXiv 2308.01263: 250 safe and 200 unsafe prompts),
    StrongREJECT (Souly et al. 2024, arXiv 2402.10260: 313 prompts, ``ask: unsafe``) and files of
    your own. What is measured is whether the answer refuses, by rules whose error rates are
    published beside them (``tasks/text/refusals``); never whether it does harm. The ``*_corrected``
    rates take that error out (Rogan and Gladen 1978). A record has the prompt (``prompt``,
    ``forbidden_prompt`` or the column named) and, with ``ask: both``, a label ``safe`` or
    ``unsafe``; XSTest's own ``type`` (``contrast_...`` is unsafe) does as well.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**UNSAFE, **SAFE, **WRAPPED}

    kind: Literal["refusal"]
    ask: Literal["both", "unsafe", "safe"] = Field("both", description="which prompts there are")
    prompt: str | None = Field(None, description="column of the prompt; found when absent")
    label: str = Field("label", description="column that says safe or unsafe, with ask: both")
    category: str | None = Field(None, description="column of a category; found when absent")
    templates: tuple[JailbreakTemplate, ...] = Field(
        (), description="disguises in which unsafe prompts are asked once more each"
    )

    @model_validator(mode="after")
    def _something_to_wrap(self) -> "RefusalSuite":
        if self.templates and self.ask == "safe":
            raise rule_error("templates disguise unsafe prompts: there are none with ask: safe")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {
            **(UNSAFE if self.ask != "safe" else {}),
            **(SAFE if self.ask != "unsafe" else {}),
            **(WRAPPED if self.templates else {}),
        }


ABSTENTION_RATES: dict[str, Metric] = {
    "abstention": Metric("higher", "proportion"),
    "false_abstention": Metric("lower", "proportion"),
}
ABSTENTION: dict[str, Metric] = {
    **ABSTENTION_RATES,
    # An item's share of the pairs is spread about the whole: it has no ends of its own.
    "auroc": Metric("higher", "mean", 0.5),
}


class AbstentionSuite(UserPromptsSuite):
    """Questions that can't be answered, beside some that can.

    For SelfAware (Yin et al. 2023, arXiv 2305.18153; a record says ``answerable``) and CoCoNot
    (Brahman et al. 2024, arXiv 2407.12043; ``contrast_path`` is its contrast set, whose prompts are
    to be answered), and files of your own. ``abstention`` is the share of unanswerable questions at
    which the model abstains (says it can't know, asks back, or declines), by rules that no human
    label has measured: compare two models by it, and don't quote it. ``auroc`` needs no such rules:
    it is how often a question that can be answered gets a surer answer than one that can't, sure
    being the answer's mean log-probability a token (Kadavath et al. 2022, arXiv 2207.05221). It
    needs a model that gives log-probabilities.
    """

    METRICS: ClassVar[dict[str, Metric]] = ABSTENTION

    kind: Literal["abstention"]
    prompt: str | None = Field(None, description="column of the question; found when absent")
    answerable: str = Field("answerable", description="column that says true or false")
    contrast_path: str | None = Field(
        None, description="file of prompts that can be answered; path's then all can't be"
    )
    dev_contrast_path: str | None = Field(None, description="the same, asked where split is dev")
    category: str | None = Field("category", description="column of a category, where there is one")
    categories: tuple[str, ...] | None = Field(None, description="all when absent")
    confidence: bool = Field(False, description="measure auroc too")
    max_new_tokens: PositiveInt = Field(128, le=8192, description="tokens of an answer")
    batch_tokens: PositiveInt = 2048

    @model_validator(mode="after")
    def _contrast_on_both(self) -> "AbstentionSuite":
        if self.dev_contrast_path is not None and self.contrast_path is None:
            raise rule_error("dev_contrast_path goes with contrast_path: both splits ask the same")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return ABSTENTION if self.confidence else ABSTENTION_RATES


class BrittlenessSuite(SuiteSection):
    """Every item under several templates that say the same (Sclar et al. 2024, arXiv 2310.11324).

    The items are those of a single-label classification (``source``: the model writes the label) or
    of multiple choice (``path``: a file with question, choices and answer; the likeliest letter or
    number is taken). ``mean_accuracy`` is over all templates, ``worst_accuracy`` and
    ``best_accuracy`` are those of the template with the lowest and the highest accuracy on these
    items, ``spread`` is the one minus the other, ``always_right`` counts items that are right under
    every template, and ``disagreement`` items whose prediction isn't the same under all. Which
    template is worst is decided by the same items: two models are compared under every template,
    and the interval of ``worst_accuracy`` reaches from the worst of these to the best, so that a
    gate on it passes only where every template does. ``best_accuracy`` and ``spread`` have no
    interval that holds and carry no gate.
    """

    METRICS: ClassVar[dict[str, Metric]] = {
        "mean_accuracy": Metric("higher", "mean", 0.0, (0.0, 1.0)),
        "worst_accuracy": Metric("higher", "proportion", 0.0),
        "best_accuracy": Metric("higher", "proportion", 0.0, interval=False),
        "spread": Metric("lower", "mean", None, (0.0, 1.0), interval=False),
        "always_right": Metric("higher", "proportion", 0.0),
        "disagreement": Metric("lower", "proportion"),
    }

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
            raise rule_error("give exactly one of source and path")
        needed = ("{prompt}",) if self.source else ("{question}", "{choices}")
        for template in self.templates or ():
            if any(template.count(field) != 1 for field in needed):
                raise rule_error(f"a template holds {' and '.join(needed)} exactly once")
        if len(set(self.templates or ())) < len(self.templates or ()):
            raise rule_error("a template is given twice")
        return self


REPEATED: dict[str, Metric] = {"repeat_agreement": Metric("higher", "mean", 0.0, (0.0, 1.0))}
DOUBTED: dict[str, Metric] = {"doubt_agreement": Metric("higher", "mean", 0.0, (0.0, 1.0))}
CHECKED: dict[str, Metric] = {
    "turn_kept": Metric("higher", "proportion", 0.0),
    "dialogue_kept": Metric("higher", "proportion", 0.0),
}


class DialoguesSuite(UserPromptsSuite):
    """Dialogues played turn by turn, the model hearing its own answers.

    For MT-Bench-101 (Bai et al. 2024, arXiv 2402.14762: 1,388 dialogues) and your own. The user's
    turns are given; the answers are the model's. Three things are measured by rules:

    - ``repeat``: after the last turn the first question is asked once more. ``repeat_agreement``
      is the token F1 of the two answers (as SQuAD's): does it still say the same?
    - ``doubt``: after the last answer the user says "Are you sure?". ``doubt_agreement`` is the
      token F1 of the answers before and after: does it give in?
    - ``checks``: turns of your own file may carry checks (see the suite ``adherence``).
      ``turn_kept`` counts checked turns with all checks kept, ``dialogue_kept`` dialogues with all
      their turns.

    A record has ``turns``, a list of texts or of ``{"user": ..., "checks": {...}}``, or
    MT-Bench-101's ``history``; it may have ``system`` and ``category`` (MT-Bench-101: ``task``).
    """

    METRICS: ClassVar[dict[str, Metric]] = {**REPEATED, **DOUBTED, **CHECKED}

    kind: Literal["dialogues"]
    measure: tuple[Literal["repeat", "doubt", "checks"], ...] = Field(
        ("repeat", "doubt"), min_length=1, description="checks needs turns with checks"
    )
    max_turns: PositiveInt = Field(8, description="of the user; longer dialogues are cut there")
    max_new_tokens: PositiveInt = Field(256, le=8192, description="tokens of an answer")

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        tables = {"repeat": REPEATED, "doubt": DOUBTED, "checks": CHECKED}
        return {k: v for name in self.measure for k, v in tables[name].items()}


CALLS: dict[str, Metric] = {
    "right_function": Metric("higher", "proportion", 0.0),
    "right_arguments": Metric("higher", "proportion", 0.0),
    "valid_arguments": Metric("higher", "proportion", 0.0),
}
NO_CALLS: dict[str, Metric] = {"no_call": Metric("higher", "proportion")}
ALL_CALLS: dict[str, Metric] = {"accuracy_of_calls": Metric("higher", "proportion", 0.0)}


class ToolCallsSuite(SuiteSection):
    """Whether the right tools are called, with the right arguments, and none where none is due.

    The items are held-out rows of a source that have tools: the prompt is every message before an
    assistant's, with the row's tools; due are the calls that this message makes, or none. Each
    assistant's message of a row is an item of its own, the row being their cluster.
    ``right_function`` counts items whose calls name the right tools, ``right_arguments`` those
    whose arguments are right too (numbers by value, texts without regard to space around them,
    order of keys and of parallel calls free), ``valid_arguments`` those whose every call names an
    offered tool and satisfies its JSON schema, ``no_call`` the items where none is due and none is
    made, and ``accuracy_of_calls`` all items with everything right.
    """

    METRICS: ClassVar[dict[str, Metric]] = {**CALLS, **NO_CALLS, **ALL_CALLS}

    kind: Literal["tool_calls"]
    name: Name
    source: Name | None = Field(None, description="held-out rows of this source")
    path: str | None = Field(None, description="or a file of rows with messages and tools")
    dev_path: str | None = Field(None, description="the same, asked where split is dev")
    due: Literal["both", "calls", "no_calls"] = Field("both", description="which items there are")
    last_only: bool = Field(False, description="of each row the last assistant's message alone")
    limit: PositiveInt | None = Field(None, description="items, chosen by seed; all when absent")
    max_new_tokens: PositiveInt = Field(256, le=8192, description="tokens of an answer")
    batch_size: PositiveInt = 16

    @model_validator(mode="after")
    def _one_origin(self) -> "ToolCallsSuite":
        if (self.source is None) == (self.path is None):
            raise rule_error("give exactly one of source and path")
        return self

    def metric_table(self) -> dict[str, Metric]:
        """Return the metrics this suite gives, by name."""
        return {
            **(CALLS if self.due != "no_calls" else {}),
            **(NO_CALLS if self.due != "calls" else {}),
            **ALL_CALLS,
        }


class AdherenceSuite(UserPromptsSuite):
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

    METRICS: ClassVar[dict[str, Metric]] = {
        "kept": Metric("higher", "proportion", 0.0),
        "checks_kept": Metric("higher", "proportion", 0.0),
    }

    kind: Literal["adherence"]


BehaviourSuite = (
    IfevalSuite
    | RefusalSuite
    | AbstentionSuite
    | BrittlenessSuite
    | DialoguesSuite
    | ToolCallsSuite
    | AdherenceSuite
)
