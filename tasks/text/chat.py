"""Chat rows as a model sees them: prompts to be answered, and training rows with their masks."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from configs.chat import ChatSettings
from tasks.errors import RenderingError
from tasks.text.answers import TurnAnswer, write_answer
from tasks.text.completeness import find_lost_words, find_missing, lacks_reasoning, refuse_missing
from tasks.text.masks import IGNORED, Piece, Rendered, mask_answer, mask_pieces
from tasks.text.rows import TEXT_ROLE, Message
from tasks.text.special import encode_texts
from tasks.text.template import ChatTemplate, Tokenizer, open_template, set_chat_settings

_LOADING = threading.Lock()


def load_tokenizer(folder: Path, chat: ChatSettings | None = None) -> Tokenizer:
    """Return the fast tokenizer stored in a model folder; never runs code from it.

    Args:
        folder: The model's.
        chat: What its chat template is given from now on; nothing when absent.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    # transformers swaps its own module while it loads: threads that race to be first fail.
    with _LOADING:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    set_chat_settings(tokenizer, chat or ChatSettings())
    return tokenizer


def render_rows(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> list[Rendered]:
    """Return a row's training rows, with loss on assistant turns (plain text: on everything).

    Each answer carries loss from its first token to the token that ends it, its thought and its
    tool calls included, and stands after the very tokens that the model is shown when it has to
    give it. Where the template keeps earlier turns as they were, that is one row. Where it writes
    them otherwise once they are earlier turns (Qwen3 drops their thoughts), each answer makes a
    row of its own, with the conversation before it as its prompt.

    Args:
        tokenizer: Its chat template renders the row.
        messages: The row's.
        tools: The row's, as JSON text.

    Raises:
        RenderingError: The template refuses the turns or leaves something of them out, or prompt
            and answer share a token that can't be parted.
    """
    if messages[0]["role"] == TEXT_ROLE:
        return [_render_text(tokenizer, messages[0]["content"])]
    template = open_template(tokenizer)
    whole = template.write(messages, tools)
    missing = find_missing(template, messages, tools, whole)
    places = [i for i, m in enumerate(messages) if m["role"] == "assistant"]
    if not places:
        refuse_missing(template, missing)
    answers = [_write_whole_answer(template, messages[: i + 1], tools) for i in places]
    one = _render_as_one(tokenizer, whole, answers, ends=places[-1:] == [len(messages) - 1])
    if one is not None and not missing:
        return [one]
    for i, answer in zip(places, answers, strict=True):
        _refuse_lossy_prompt(template, messages[:i], tools, answer.prompt)
    return [_render_answer(template, answer) for answer in answers]


def render(tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None) -> Rendered:
    """Return the last of a row's training rows: where there is one, the whole conversation.

    Raises:
        RenderingError: As ``render_rows``.
    """
    return render_rows(tokenizer, messages, tools)[-1]


def render_last(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> Rendered:
    """Return a conversation with loss on its last answer alone: earlier ones are the prompt's.

    Raises:
        RenderingError: As ``render_rows``.
    """
    template = open_template(tokenizer)
    answer = _write_whole_answer(template, messages, tools)
    _refuse_lossy_prompt(template, messages[:-1], tools, answer.prompt)
    return _render_answer(template, answer)


def prompt_ids(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> list[int]:
    """Return the tokens of a prompt that ends where the assistant's answer begins."""
    text = rendered_prompt(tokenizer, messages, tools)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def rendered_prompt(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: str | None = None
) -> str:
    """Return a prompt as the template writes it, up to where the assistant's answer begins.

    Raises:
        RenderingError: The template refuses the turns, or leaves something of them out.
    """
    template = open_template(tokenizer)
    text = template.write(messages, tools, answer_next=True)
    refuse_missing(template, find_missing(template, messages, tools, text))
    return text


def _render_text(tokenizer: Tokenizer, text: str) -> Rendered:
    ids = encode_texts(tokenizer, [text])[0]
    if ids[-1:] != [tokenizer.eos_token_id]:
        ids = [*ids, tokenizer.eos_token_id]
    return Rendered(ids, [IGNORED, *ids[1:]])


def _write_whole_answer(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None
) -> TurnAnswer:
    """Return an answer with its prompt, all that the last message says in it."""
    answer = write_answer(template, messages, tools)
    refuse_missing(template, find_lost_words(messages[-1:], None, answer.text))
    if lacks_reasoning(messages[-1], answer.prompt + answer.text):
        refuse_missing(template, "an assistant's reasoning")
    return answer


def _refuse_lossy_prompt(
    template: ChatTemplate, messages: Sequence[Message], tools: str | None, prompt: str
) -> None:
    if messages:
        refuse_missing(template, find_missing(template, messages, tools, prompt))


def _render_as_one(
    tokenizer: Tokenizer, whole: str, answers: Sequence[TurnAnswer], *, ends: bool
) -> Rendered | None:
    """Return all answers in one row; None where it isn't what the model would be shown.

    Args:
        tokenizer: The model's.
        whole: The conversation as the template writes it.
        answers: Each of its answers.
        ends: Whether the last one ends the conversation.
    """
    if ends:
        whole = "".join(answers[-1])
    pieces, done = [], 0
    for answer in answers:
        before = len(answer.prompt)
        if not whole.startswith(answer.prompt + answer.text) or before < done:
            return None
        pieces.append(Piece(whole[done:before], supervised=False))
        pieces.append(Piece(answer.text, supervised=True))
        done = before + len(answer.text)
    return mask_pieces(tokenizer, [*pieces, Piece(whole[done:], supervised=False)])


def _render_answer(template: ChatTemplate, answer: TurnAnswer) -> Rendered:
    made = mask_answer(template.tokenizer, answer.prompt, answer.text)
    if made is None:
        raise RenderingError(
            "the prompt's last token and the answer's first are one token to this tokenizer, and "
            "can't be parted: the model would be shown another prompt than it was trained on.",
            where=template.where,
            fix="use a model whose chat template ends prompts by a token of its own.",
        )
    return made
