"""What is refused of a model folder before anything is made of it, each by name."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.errors import SetupError
from tasks.models.identity import read_settings, stamp_files, stopping
from tasks.text.chat import load_tokenizer
from tasks.text.template import Tokenizer

_CAUSAL = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration", "GenerationDecoder")
"""Ends of the names of classes that write text."""
_READS_ONE_WAY = frozenset({"gpt_neox", "gpt_neox_japanese", "reformer"})
"""Types whose config has a switch for decoders, off, that does nothing."""


def refuse_unsupported(folder: Path) -> None:
    """Refuse a model that can't be evaluated or trained, before anything is made.

    Raises:
        SetupError: It is no causal language model, or of a type that transformers has none of; it
            holds an adapter;
            its tokenizer writes tokens that the model has no embedding of; or its answers end by
            something that can't be done.
    """
    if (folder / "adapter_config.json").is_file():
        raise SetupError(
            "the folder holds an adapter beside the model or instead of it (adapter_config.json), "
            "and transformers would put it on without a word.",
            where=str(folder),
            fix="name the base with kind: adapted and this folder as its adapter, or move the "
            "adapter into a folder of its own.",
        )
    stopping(folder)
    _refuse(str(folder), stamp_files(folder))


@lru_cache(maxsize=64)
def _refuse(path: str, _: tuple[tuple[str, int, int], ...]) -> None:
    _refuse_kind(path)
    _refuse_tokens(path)


def _refuse_kind(path: str) -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )

    settings = read_settings(Path(path) / "config.json")
    kind = str(settings.get("model_type") or "")
    classes = settings.get("architectures") or []
    if kind not in CONFIG_MAPPING_NAMES:
        why = "of a type that this version of transformers doesn't know"
    elif kind in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES and (
        kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        why = "of text and images, and transformers loads no language model of it by itself"
    elif kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or not all(
        str(name).endswith(_CAUSAL) for name in classes
    ):
        why = "no causal language model"
    elif settings.get("is_encoder_decoder"):
        why = "an encoder with a decoder, and only decoders are evaluated and trained here"
    elif _looks_ahead(path, kind):
        why = "an encoder, which reads in both directions"
    else:
        return
    name = f"{kind or 'none'}{f' ({classes[0]})' if classes else ''}"
    raise SetupError(
        f"the model's type is {name}: it is {why}.",
        where=path,
        fix="take a causal language model.",
    )


def _looks_ahead(path: str, kind: str) -> bool:
    switch = getattr(read_config(path), "is_decoder", None)
    return switch is False and kind not in _READS_ONE_WAY


def read_config(path: str) -> Any:
    """Return a model folder's config, as transformers reads it.

    Raises:
        SetupError: It can't be read.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise unreadable(path, error) from error


def unreadable(path: str, error: Exception) -> SetupError:
    """Return what is raised where transformers can't load a folder."""
    return SetupError(
        f"the model can't be loaded: {error}",
        where=path,
        fix="check that the folder is whole and of a causal language model.",
    )


def _refuse_tokens(path: str) -> None:
    rows = getattr(read_config(path).get_text_config(), "vocab_size", None)
    missing = describe_missing_rows(load_tokenizer(Path(path)), rows)
    if missing:
        raise SetupError(
            missing,
            where=path,
            fix="resize the model's embeddings to the tokenizer (model.resize_token_embeddings), "
            "or take the added tokens out.",
        )


def describe_missing_rows(tokenizer: Tokenizer, rows: int | None) -> str:
    """Return what is wrong where a tokenizer writes tokens that an embedding has no row for.

    Tokens that stand for something else (an image) and that neither a role nor the template writes
    may lie beyond it, as in Gemma 3 of 1 B.

    Args:
        tokenizer: The model's.
        rows: Of its embedding; None where that isn't known.
    """
    if rows is None:
        return ""
    beyond = {token: i for token, i in tokenizer.get_vocab().items() if i >= rows}
    marked = {str(t) for t in tokenizer.added_tokens_decoder.values() if t.special}
    roles = set(tokenizer.special_tokens_map.values())
    templates = str(tokenizer.chat_template)
    written = sorted(t for t in beyond if t not in marked or t in roles or t in templates)
    if not written:
        return ""
    most = max(beyond.values()) + 1
    return (
        f"the tokenizer has {most:,} ids and the model's embedding {rows:,} rows: "
        f"'{written[0]}' is id {beyond[written[0]]:,} ({len(written)} such), and the model "
        "can't be shown it."
    )
