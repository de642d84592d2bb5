"""A model's card: what it is, what went in, how it scored, and what it is for."""

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from configs.redaction import redact
from tasks.artifacts import Checkpoint
from tasks.errors import StorageError
from tasks.models.identity import tokenizer_digest, weight_files, weights_digest
from tasks.pages.markdown import listed, table
from tasks.scores import Estimate, GateResult

# What is deployed, and the proof that it is what was evaluated.

_BESIDE = (
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
    "vocab*",
    "merges.txt",
)


class Release(NamedTuple):
    """A run's model with its evidence.

    Attributes:
        model: The merged checkpoint.
        evaluated: Weights digest that each suite's scores of the candidate are of.
        lock: ``mixture.lock.json``, with the recipe inside.
        base, candidate: ``suite/metric`` -> value with interval.
        waiver: Why it is deployed without a PASS; None where it has one.
    """

    name: str
    run_id: str
    recipe_digest: str
    verdict: str
    model: Checkpoint
    evaluated: tuple[str, ...]
    lock: dict[str, Any]
    gates: tuple[GateResult, ...]
    base: dict[str, Estimate]
    candidate: dict[str, Estimate]
    waiver: str | None = None


def model_files(folder: Path) -> dict[str, Path]:
    """Return what a program needs of a merged model's folder: weights, settings, tokenizer."""
    beside = [f for pattern in _BESIDE for f in sorted(folder.glob(pattern)) if f.is_file()]
    index = sorted(folder.glob("*.safetensors.index.json"))
    return {f.name: f for f in [*weight_files(folder), *index, *beside]}


def verify(release: Release) -> None:
    """Refuse to deploy anything but the weights that the scores are of.

    Raises:
        StorageError: The checkpoint's weights or tokenizer aren't those of its receipt, or of the
            scores.
    """
    model = release.model
    found = weights_digest(model.path)
    if found != model.digest or any(digest != found for digest in release.evaluated):
        raise StorageError(
            f"the checkpoint's weights ({found[:12]}) aren't those that were evaluated "
            f"({', '.join(sorted({d[:12] for d in (model.digest, *release.evaluated)}))}).",
            where=str(model.path),
            fix="run the recipe again, and deploy that run.",
        )
    if tokenizer_digest(model.path, model.chat) != model.tokenizer_digest:
        raise StorageError(
            "the checkpoint's tokenizer isn't the one that was evaluated with.",
            where=str(model.path),
            fix="run the recipe again, and deploy that run.",
        )


def model_card(release: Release) -> str:
    """Return the card as Markdown with the front matter that model hubs read."""
    recipe = release.lock["recipe"]
    parts = [
        _front(release, recipe),
        f"# {release.name}",
        _summary(release, recipe),
        "## Intended use",
        _use(release, recipe),
        "## Training data",
        _sources(release.lock),
        "## Scores",
        _scores(release),
        "## Gates",
        _gates(release),
        "## How to load it",
        _loading(),
        "## Recipe",
        f"```yaml\n{_recipe(recipe)}```",
        "## Digests",
        _digests(release),
    ]
    return redact("\n\n".join(parts)) + "\n"


def licences(lock: dict[str, Any]) -> list[str]:
    """Return the licences of the training data, each once; ``unknown`` where none is given."""
    return sorted({str(s["licence"] or "unknown") for s in lock["sources"]})


def _front(release: Release, recipe: dict[str, Any]) -> str:
    fields = {
        "base_model": recipe["model"]["path"],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["temper", recipe["training"]["method"]],
        "datasets_licences": licences(release.lock),
    }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False)}---"


def _summary(release: Release, recipe: dict[str, Any]) -> str:
    waived = f" It was deployed all the same: {release.waiver}" if release.waiver else ""
    domain = [s["name"] for s in release.lock["sources"] if s["role"] == "domain"]
    return (
        f"`{recipe['model']['path']}`, specialised on {listed(domain)} by "
        f"{recipe['training']['method']}; weights are merged, no adapter is needed. "
        f"Verdict of its gates: **{release.verdict}**.{waived}"
    )


def _use(release: Release, recipe: dict[str, Any]) -> str:
    domain = [s["name"] for s in release.lock["sources"] if s["role"] == "domain"]
    general = [s["name"] for s in release.lock["sources"] if s["role"] == "general"]
    kept = (
        f" General data ({listed(general)}) was mixed in so that it keeps what it knew."
        if general
        else " No general data was mixed in, so expect it to have forgotten some "
        "of what the base model could do."
    )
    length = recipe["training"]["sequence_length"]
    return (
        f"For tasks like those of {listed(domain)}, with prompts of the same form.{kept}\n\n"
        "Not for uses that no suite below measures: a score says nothing about other tasks, "
        f"languages or longer texts than {length} tokens, and the intervals are those of the items "
        "at hand. The licences of base model and data (below) bind whoever uses it."
    )


def _sources(lock: dict[str, Any]) -> str:
    head = [
        "source",
        "role",
        "licence",
        "from",
        f"share of {lock['unit']} asked",
        "got",
        "rows",
        "tokens",
        "epochs",
    ]
    unit = lock["unit"]
    return table(
        head,
        [
            [
                s["name"],
                s["role"],
                s["licence"] or "unknown",
                s["uri"],
                f"{s['share']:.4f}",
                f"{s['share_got'][unit]:.4f}",
                f"{s['rows']:,}",
                f"{s['tokens']:,}",
                f"{s['epochs']:.2f}",
            ]
            for s in lock["sources"]
        ],
    )


def _scores(release: Release) -> str:
    rows = []
    for name, score in release.candidate.items():
        base = release.base.get(name)
        rows.append(
            [
                name,
                f"{base.value:.4f}" if base else "",
                f"{score.value:.4f}",
                f"{score.low:.4f} to {score.high:.4f}",
                str(score.n),
            ]
        )
    return table(["metric", "base", "this model", "95 % interval", "items"], rows)


def _gates(release: Release) -> str:
    if not release.gates:
        return "The recipe has none."
    return table(
        ["metric", "rule", "verdict", "difference", "interval"],
        [
            [g.metric, g.rule, g.verdict, f"{g.difference:+.4f}", f"{g.low:+.4f} to {g.high:+.4f}"]
            for g in release.gates
        ],
    )


def _loading() -> str:
    return (
        "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        'folder = "."\ntokenizer = AutoTokenizer.from_pretrained(folder)\n'
        "model = AutoModelForCausalLM.from_pretrained(folder)\n```\n\n"
        "Or `vllm serve .` for an endpoint of the OpenAI form."
    )


def _recipe(recipe: dict[str, Any]) -> str:
    return str(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True, width=100))


def _digests(release: Release) -> str:
    model = release.model
    return table(
        ["what", "value"],
        [
            ["run", release.run_id],
            ["recipe", release.recipe_digest],
            ["weights", model.digest],
            ["tokenizer", model.tokenizer_digest],
            ["base weights", model.parent],
            ["mixture", release.lock["mixture_digest"]],
        ],
    )
