"""What is deployed, and the proof that it is what was evaluated."""

from pathlib import Path
from typing import Any, NamedTuple

from tasks.artifacts import Checkpoint, Estimate, GateResult
from tasks.errors import StorageError
from tasks.inference.identity import tokenizer_digest, weight_files, weights_digest

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
    if tokenizer_digest(model.path) != model.tokenizer_digest:
        raise StorageError(
            "the checkpoint's tokenizer isn't the one that was evaluated with.",
            where=str(model.path),
            fix="run the recipe again, and deploy that run.",
        )
