"""Log-probabilities of texts and of options, computing nothing twice where a model allows that."""

from collections.abc import Container, Iterator, Sequence

from tasks.models.local.forward import Scored, score_groups
from tasks.models.local.loading import TorchModel
from tasks.models.local.probe import shortcuts_of
from tasks.models.local.spans import Span
from tasks.progress import Progress


def next_token_logprobs(
    model: TorchModel,
    prompts: Sequence[list[int]],
    tokens: Sequence[list[int]],
    batch_tokens: int = 2048,
    progress: Progress | None = None,
) -> list[list[float]]:
    """Return the log-probability of each given token as the next one of its prompt.

    Args:
        model: From ``load_weights``.
        prompts: Token ids of each prompt; prefixes they share are computed once.
        tokens: For each prompt the token ids asked about.
        batch_tokens: Padded tokens of a forward pass.
        progress: Called after each pass.

    Returns:
        For each prompt one log-probability (nats, over the whole vocabulary) a token.
    """
    groups = [
        [Span([*prompt, token], [len(prompt)]) for token in asked]
        for prompt, asked in zip(prompts, tokens, strict=True)
    ]
    return continuation_logprobs(model, groups, batch_tokens, progress)


def sequence_nats(
    model: TorchModel,
    spans: Sequence[Span],
    batch_tokens: int = 2048,
    progress: Progress | None = None,
) -> list[float]:
    """Return the nats (negative log-probability) of each text's wanted tokens, summed."""
    scored = continuation_logprobs(model, [[s] for s in spans], batch_tokens, progress)
    return [-total for (total,) in scored]


def continuation_logprobs(
    model: TorchModel,
    groups: Sequence[Sequence[Span]],
    batch_tokens: int = 2048,
    progress: Progress | None = None,
) -> list[list[float]]:
    """Return the summed log-probability of the wanted tokens of every span.

    The spans of a group (a question with each of its options) become one sequence, in which an
    option sees the question and itself; prefixes that groups share (few-shot examples) are
    computed once and their keys and values kept. Where that isn't sound for the model, each span is
    a row of its own.

    Args:
        model: From ``load_weights``.
        groups: Spans that begin alike, as from ``encode_pair``.
        batch_tokens: Padded tokens of a forward pass.
        progress: Called after each pass.

    Returns:
        For each group one sum (nats, at most 0, over the whole vocabulary) a span.
    """
    sums = [[0.0] * len(group) for group in groups]
    done, total = 0, sum(any(span.at for span in group) for group in groups)
    for batch in scoring(model, groups, batch_tokens):
        for index, found in batch:
            sums[index] = [score.logprob for score in found]
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return sums


def scoring(
    model: TorchModel,
    groups: Sequence[Sequence[Span]],
    batch_tokens: int = 2048,
    skip: Container[int] = frozenset(),
) -> Iterator[Scored]:
    """Yield the scores of one forward pass after another, with the groups' places.

    Batches are made of all groups; one whose places are all in ``skip`` is left out, and so are
    groups without a wanted token.
    """
    yield from score_groups(model, groups, shortcuts_of(model), batch_tokens, skip)
