"""Digests of a model folder: of its weights, and of its tokenizer with the chat template."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from configs.models import ChatSettings
from tasks.errors import SetupError
from tasks.storage import digest_of, file_digest

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
_VOLATILE = frozenset(
    {
        "name_or_path",
        "is_local",
        "local_files_only",
        "transformers_version",
        "tokenizer_file",
        "chat_template",
    }
)
"""Keys of tokenizer_config.json that say how it was saved, not how it tokenises."""
_SAVED = frozenset({"_name_or_path", "transformers_version", "dtype", "torch_dtype"})
"""Keys of config.json that say how weights were saved, not what the model computes."""


def weight_files(folder: Path) -> list[Path]:
    """Return the safetensors files that transformers would load, sorted by name.

    Raises:
        SetupError: There are none, only pickled ones, or a file that the index names is missing.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise _no_weights(folder)
    index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    files = [folder / Path(name).name for name in sorted(set(index["weight_map"].values()))]
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise SetupError(
            f"{INDEX} names {missing[0]}, which isn't there.",
            where=str(folder),
            fix="copy or download the model folder as a whole.",
        )
    return files


def weights_digest(folder: Path) -> str:
    """Return the digest of a folder's weights: SHA-256 of the one file, or over all of them."""
    files = [(f.name, _file_digest(str(f), *_stamp(f))) for f in weight_files(folder)]
    return files[0][1] if len(files) == 1 else digest_of(files)


def tokenizer_digest(folder: Path, chat: ChatSettings | None = None) -> str:
    """Return the digest of tokenizer, its settings and the chat template.

    Args:
        folder: The model's.
        chat: What the template is given beside the conversation; nothing when absent.

    Raises:
        SetupError: There is no ``tokenizer.json``.
    """
    tokens = folder / "tokenizer.json"
    if not tokens.is_file():
        raise SetupError(
            "the model folder has no tokenizer.json.",
            where=str(folder),
            fix="save it with a fast tokenizer (tokenizer.save_pretrained).",
        )
    settings = _settings(folder / "tokenizer_config.json")
    files = digest_of(
        {
            "tokens": _file_digest(str(tokens), *_stamp(tokens)),
            "settings": {k: v for k, v in settings.items() if k not in _VOLATILE},
            "chat": chat_template(folder),
        }
    )
    given = (chat or ChatSettings()).model_dump(mode="json", exclude_defaults=True)
    return digest_of({"files": files, "given": given}) if given else files


def config_digest(folder: Path) -> str:
    """Return the digest of a model's config, without what says how it was saved.

    Positions, rope and scaling decide answers as weights do.
    """
    config = _settings(folder / "config.json")
    return digest_of({k: v for k, v in config.items() if k not in _SAVED})


def embedding_rows(folder: Path) -> int | None:
    """Return the rows of a model's embedding as its config has them; None where it doesn't say."""
    config = _settings(folder / "config.json")
    size = config.get("vocab_size", config.get("text_config", {}).get("vocab_size"))
    return int(size) if size is not None else None


def template_digest(folder: Path) -> str:
    """Return the digest of the chat template alone, to say what two runs differ in."""
    return digest_of(chat_template(folder))


def chat_template(folder: Path) -> Any:
    """Return the chat template as it is stored: a text, a list of named ones, or None."""
    template = folder / "chat_template.jinja"
    if template.is_file():
        return template.read_text(encoding="utf-8")
    return _settings(folder / "tokenizer_config.json").get("chat_template")


def stopping(folder: Path) -> object:
    """Return what the folder's generation config says ends an answer: it is part of decoding."""
    return _settings(folder / "generation_config.json").get("eos_token_id")


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=256)
def _file_digest(path: str, _size: int, _modified: int) -> str:
    return file_digest(Path(path))


def _no_weights(folder: Path) -> SetupError:
    pickled = sorted(p.name for p in [*folder.glob("*.bin"), *folder.glob("*.pt*")])
    if pickled:
        return SetupError(
            f"the weights are pickled ({pickled[0]}), and loading a pickle runs what is in it.",
            where=str(folder),
            fix="convert them to safetensors (model.save_pretrained) first.",
        )
    return SetupError(
        "the model folder holds no model.safetensors.",
        where=str(folder),
        fix="give a folder written by model.save_pretrained.",
    )
