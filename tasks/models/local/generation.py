"""Answers of a model, in batches of like length where the model allows that."""

from collections.abc import Container, Iterator, Sequence

from tasks.models.api import Decoding
from tasks.models.local.answering import Answerer, Generation
from tasks.models.local.loading import TorchModel
from tasks.models.local.prefix_cache import shared_prefix
from tasks.models.local.probe import shortcuts_of
from tasks.models.local.sampling import draw_keys
from tasks.models.local.shortcuts import ANSWERING, Answering
from tasks.models.stops import stop_tokens
from tasks.progress import Progress
from tasks.text.template import Tokenizer

MIN_SHARED = 8
"""Tokens at the beginning of all prompts from which on they are computed once."""


def generate(
    model: TorchModel,
    tokenizer: Tokenizer,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    progress: Progress | None = None,
) -> list[Generation]:
    """Return the model's answer to each prompt, in their order.

    Args:
        model: From ``load_weights``.
        tokenizer: Its tokenizer.
        prompts: Token ids, as from ``prompt_ids``.
        decoding: How to draw.
        progress: Called with prompts answered and their number.
    """
    answers: dict[int, Generation] = {}
    for batch in generating(model, tokenizer, prompts, decoding):
        answers |= batch
        if progress is not None:
            progress(len(answers), len(prompts))
    return [answers[i] for i in range(len(prompts))]


def generating(
    model: TorchModel,
    tokenizer: Tokenizer,
    prompts: Sequence[list[int]],
    decoding: Decoding,
    skip: Container[int] = frozenset(),
) -> Iterator[list[tuple[int, Generation]]]:
    """Yield the answers of one batch after another, with their places among the prompts.

    Batches are made of all prompts; one whose places are all in ``skip`` is left out.
    """
    if not prompts:
        return
    keys, stops = draw_keys(decoding.seed, prompts), stop_ids(model, tokenizer)
    shortcuts = shortcuts_of(model)
    places: dict[Answering, list[int]] = {layout: [] for layout in ANSWERING}
    for i in sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i)):
        places[shortcuts.at(len(prompts[i]) + decoding.max_new_tokens).answering].append(i)
    for layout, order in places.items():
        shares = layout == "shared"
        prefix = shared_prefix([prompts[i] for i in order], MIN_SHARED) if shares else []
        answerer: Answerer | None = None
        for start in range(0, len(order), decoding.batch_size):
            batch = order[start : start + decoding.batch_size]
            if all(i in skip for i in batch):
                continue
            answerer = answerer or Answerer(model, tokenizer, decoding, stops, prefix)
            passes = [[i] for i in batch] if layout == "alone" else [batch]
            made = [
                answer
                for one in passes
                for answer in answerer.answer([prompts[i] for i in one], [keys[i] for i in one])
            ]
            yield list(zip(batch, made, strict=True))


def stop_ids(model: TorchModel, tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that end an answer of a loaded model."""
    configured = model.generation_config.eos_token_id
    listed = configured if isinstance(configured, list) else [configured]
    return stop_tokens([token for token in listed if token is not None], tokenizer)
