"""A base model's size, from its config and the headers of its files; nothing is loaded."""

import json
from pathlib import Path
from typing import NamedTuple

from tasks.errors import SetupError
from tasks.models.identity import weight_files


class ModelSize(NamedTuple):
    """What the estimates need to know of a model.

    Attributes:
        parameters: Weights, all.
        hidden: Width of a layer's state.
        layers: Number of layers.
        intermediate: Width inside the feed-forward part.
        vocabulary: Number of tokens there are.
        positions: Longest context; None where the config doesn't say.
    """

    parameters: int
    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    positions: int | None


def size_of(folder: Path) -> ModelSize:
    """Return the size of a model folder's model.

    Raises:
        SetupError: The folder has no weights, or no config of a text model.
    """
    shapes = tensor_shapes(folder)
    config = json.loads((folder / "config.json").read_text())
    config = config.get("text_config", config)
    try:
        hidden = int(config["hidden_size"])
        return ModelSize(
            parameters=sum(_product(s) for s in shapes.values()),
            hidden=hidden,
            layers=int(config["num_hidden_layers"]),
            intermediate=int(config.get("intermediate_size", 4 * hidden)),
            vocabulary=int(config["vocab_size"]),
            positions=config.get("max_position_embeddings"),
        )
    except KeyError as error:
        raise SetupError(
            f"the config names no {error}.",
            where=str(folder / "config.json"),
            fix="give a causal language model of transformers.",
        ) from error


def tensor_shapes(folder: Path) -> dict[str, list[int]]:
    """Return the shape of each tensor by name, from the headers of a folder's safetensors."""
    found: dict[str, list[int]] = {}
    for file in weight_files(folder):
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        found |= {n: t["shape"] for n, t in header.items() if n != "__metadata__"}
    return found


def _product(shape: list[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total
