"""What decides a model folder's answers: weights, config, tokenizer as loaded, ends of answers."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from configs.chat import ChatSettings
from tasks.errors import SetupError
from tasks.storage import digest_of, file_digest
from tasks.text.chat import load_tokenizer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
GENERATION = "generation_config.json"
_NOT_TOKENS = frozenset({".safetensors", ".bin", ".pt", ".md", ".gguf"})
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
    """Return the digest of the tokenizer as it is loaded: what it encodes with, and its templates.

    Whatever a folder says in several places (``tokenizer.json``, its settings, a map of special
    tokens, templates beside) counts as far as it takes effect.

    Args:
        folder: The model's.
        chat: What the template is given beside the conversation; nothing when absent.

    Raises:
        SetupError: There is no ``tokenizer.json``, or it can't be loaded.
    """
    tokens = folder / "tokenizer.json"
    if not tokens.is_file():
        raise SetupError(
            "the model folder has no tokenizer.json.",
            where=str(folder),
            fix="save it with a fast tokenizer (tokenizer.save_pretrained).",
        )
    found, _ = _tokenizer_digests(str(folder), stamp_files(folder))
    given = (chat or ChatSettings()).model_dump(mode="json", exclude_defaults=True)
    return digest_of({"files": found, "given": given}) if given else found


def template_digest(folder: Path) -> str:
    """Return the digest of the chat templates alone, to say what two runs differ in."""
    _, templates = _tokenizer_digests(str(folder), stamp_files(folder))
    return templates


def stamp_files(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return name, size and time of all files of a folder but weights."""
    inside = [*folder.glob("*"), *folder.glob("additional_chat_templates/*")]
    files = [f for f in inside if f.is_file() and f.suffix not in _NOT_TOKENS]
    return tuple(sorted((str(f.relative_to(folder)), *_stamp(f)) for f in files))


@lru_cache(maxsize=64)
def _tokenizer_digests(path: str, _: tuple[tuple[str, int, int], ...]) -> tuple[str, str]:
    try:
        tokenizer = load_tokenizer(Path(path))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SetupError(
            f"the tokenizer can't be loaded: {error}",
            where=path,
            fix="save it with a fast tokenizer (tokenizer.save_pretrained).",
        ) from error
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    templates = digest_of(tokenizer.chat_template)
    return digest_of(
        {
            "encodes": tokenizer.backend_tokenizer.to_str(),
            "special": special,
            "tidies": bool(tokenizer.clean_up_tokenization_spaces),
            "splits": bool(tokenizer.split_special_tokens),
            "templates": templates,
        }
    ), templates


def config_digest(folder: Path) -> str:
    """Return the digest of a model's config, without what says how it was saved.

    Positions, rope and scaling decide answers as weights do.
    """
    config = read_settings(folder / "config.json")
    return digest_of({k: v for k, v in config.items() if k not in _SAVED})


def stopping(folder: Path) -> list[int]:
    """Return the tokens that end an answer by the folder's generation config.

    Nothing else of it counts: an answer is what the model finds likeliest, or is drawn as a suite
    says. Without the file its model config says it.

    Raises:
        SetupError: It ends answers by something that can't be done.
    """
    settings = read_settings(folder / GENERATION)
    if settings.get("stop_strings"):
        raise SetupError(
            f"{GENERATION} ends answers at strings (stop_strings: {settings['stop_strings']}), "
            "which is not done here: answers would go on after them.",
            where=str(folder / GENERATION),
            fix="take stop_strings out, and name tokens in eos_token_id instead.",
        )
    if not settings:
        config = read_settings(folder / "config.json")
        settings = {**(config.get("text_config") or {}), **config}
    named = settings.get("eos_token_id")
    listed = named if isinstance(named, list) else [named]
    ends = [token for token in listed if token is not None]
    if not all(isinstance(token, int) and not isinstance(token, bool) for token in ends):
        raise SetupError(
            f"eos_token_id is {named!r}, and only token ids end an answer.",
            where=str(folder / GENERATION),
            fix="give one id, or a list of ids.",
        )
    return sorted(set(ends))


def embedding_rows(folder: Path) -> int | None:
    """Return the rows of a model's embedding as its config has them; None where it doesn't say."""
    config = read_settings(folder / "config.json")
    size = config.get("vocab_size", config.get("text_config", {}).get("vocab_size"))
    return int(size) if size is not None else None


def chat_template(folder: Path) -> Any:
    """Return the chat template as it is stored: a text, a list of named ones, or None."""
    template = folder / "chat_template.jinja"
    if template.is_file():
        return template.read_text(encoding="utf-8")
    return read_settings(folder / "tokenizer_config.json").get("chat_template")


def read_settings(path: Path) -> dict[str, Any]:
    """Return a file of settings; nothing where there is none."""
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
