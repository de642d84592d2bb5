"""The tokens that end an answer: of generation here, of vLLM, and of what is deployed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from configs.chat import ChatSettings
from tasks.models.identity import GENERATION, read_settings, stopping
from tasks.text.chat import load_tokenizer
from tasks.text.ending import end_of_turn
from tasks.text.template import Tokenizer


def stop_tokens(configured: Sequence[int], tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that end an answer, sorted.

    A model ends its turn by the token that its template writes there, which neither its tokenizer
    nor its generation config need name: base models often name the end of a text alone.

    Args:
        configured: Those that the generation config names.
        tokenizer: With its chat template, if it has one.
    """
    ends = [tokenizer.eos_token_id, *configured]
    if getattr(tokenizer, "chat_template", None):
        ends += end_of_turn(tokenizer).ids
    return sorted({int(token) for token in ends if token is not None})


def generation_settings(folder: Path, chat: ChatSettings) -> dict[str, Any]:
    """Return a model folder's generation config with all tokens that its answers were ended by.

    Any server that reads it then ends answers as the evaluation did.

    Args:
        folder: The model's.
        chat: What its chat template was given.
    """
    tokenizer = load_tokenizer(folder, chat)
    settings = read_settings(folder / GENERATION)
    ends = stop_tokens(stopping(folder), tokenizer)
    if ends:
        settings["eos_token_id"] = ends[0] if len(ends) == 1 else ends
    if settings.get("pad_token_id") is None and tokenizer.pad_token_id is not None:
        settings["pad_token_id"] = tokenizer.pad_token_id
    return settings
