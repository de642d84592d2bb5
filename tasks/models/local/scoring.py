"""Log-probabilities of tokens, in float32, computing nothing twice."""

from collections.abc import Container, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch

from tasks.models.local.loading import TorchModel
from tasks.models.local.prefix_cache import (
    KeysAndValues,
    added,
    attending,
    can_attend,
    for_rows,
    keys_and_values,
)
from tasks.models.local.spans import Span, Tree, batches, clusters, pack
from tasks.progress import Progress

# From hidden states to log-probabilities, at the places and for the tokens that are asked.

CHUNK = 512
"""Places whose logits over the vocabulary are held at a time."""


class Token(NamedTuple):
    """A token's log-probability (nats) at its place, and whether none there is likelier."""

    logprob: float
    best: bool


def token_logprobs(
    model: TorchModel, hidden: torch.Tensor, rows: Sequence[int], tokens: Sequence[int]
) -> list[Token]:
    """Return log-probabilities (nats) of tokens, normalised over the vocabulary in float32.

    Args:
        model: The model; its output embeddings are applied.
        hidden: Last hidden states, (places, width).
        rows: For each token asked about, which place predicts it.
        tokens: Token ids, as many as ``rows``.

    In bfloat16 a logit is a multiple of 1/16 around 10, which makes ties of near things: the
    logits of the tokens asked about are computed anew in float32.
    """
    row = torch.tensor(rows, device=hidden.device)
    token = torch.tensor(tokens, device=hidden.device)
    found = torch.empty(len(tokens), dtype=torch.float32, device=hidden.device)
    best = torch.empty(len(tokens), dtype=torch.bool, device=hidden.device)
    for start in range(0, len(hidden), CHUNK):
        inside = (row >= start) & (row < start + CHUNK)
        place, asked = row[inside] - start, token[inside]
        part = hidden[start : start + CHUNK]
        logits = model.get_output_embeddings()(part).float()
        logits[place, asked] = _exact(model, part[place], asked)
        logits = _scaled(model, logits)
        found[inside] = logits[place, asked] - logits.logsumexp(dim=-1)[place]
        best[inside] = logits[place, asked] >= logits.max(dim=-1).values[place]
    return [Token(*pair) for pair in zip(found.tolist(), best.tolist(), strict=True)]


def _exact(model: TorchModel, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    head = model.get_output_embeddings()
    logits: torch.Tensor = (hidden.float() * head.weight[tokens].float()).sum(dim=-1)
    bias = getattr(head, "bias", None)
    return logits if bias is None else logits + bias[tokens].float()


def _scaled(model: TorchModel, logits: torch.Tensor) -> torch.Tensor:
    """Apply what some models do to their logits after the head (Cohere, Granite, Gemma)."""
    config = model.config.get_text_config()
    if getattr(config, "logit_scale", None):
        logits = logits * config.logit_scale
    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


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
    computed once and their keys and values kept. Sound for decoders with full causal attention.

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


class Score(NamedTuple):
    """Summed log-probability (nats) of a span's wanted tokens, and whether all are likeliest."""

    logprob: float
    greedy: bool


def scoring(
    model: TorchModel,
    groups: Sequence[Sequence[Span]],
    batch_tokens: int = 2048,
    skip: Container[int] = frozenset(),
) -> Iterator[list[tuple[int, list[Score]]]]:
    """Yield the scores of one forward pass after another, with the groups' places.

    Batches are made of all groups; one whose places are all in ``skip`` is left out, and so are
    groups without a wanted token.
    """
    trees = [tree for i, group in enumerate(groups) if (tree := pack(i, group)).wanted]
    for cluster in clusters(trees):
        prefix: KeysAndValues | None = None
        copied = None if can_attend(model) else len(cluster.prefix)
        for batch in batches(cluster.trees, batch_tokens, copied):
            if all(tree.index in skip for tree in batch):
                continue
            # A consumer may stop between two batches: the mode must not outlive one.
            with torch.inference_mode():
                if prefix is None:
                    prefix = keys_and_values(model, cluster.prefix)
                found = _wanted(model, batch, _hidden(model, batch, prefix))
            yield [
                (tree.index, _summed(tree, len(groups[tree.index]), values))
                for tree, values in zip(batch, found, strict=True)
            ]


def _summed(tree: Tree, spans: int, values: list[Token]) -> list[Score]:
    sums = [Score(0.0, True)] * spans
    for (_, _, span), value in zip(tree.wanted, values, strict=True):
        before = sums[span]
        sums[span] = Score(before.logprob + value.logprob, before.greedy and value.best)
    return sums


def _hidden(model: TorchModel, batch: list[Tree], prefix: KeysAndValues) -> torch.Tensor:
    """Return the last hidden state of every token of the trees, (tokens, width)."""
    lengths = [len(t.ids) for t in batch]
    seen = _causal(max(lengths)) if all(t.plain for t in batch) else _seen(batch)
    if not can_attend(model):
        return _in_rows(model, batch, prefix, seen)
    ids, positions = (
        [x for row in rows for x in row]
        for rows in ([t.ids for t in batch], [t.positions for t in batch])
    )
    with attending(model, prefix, lengths, seen):
        return _forward(model, [ids], [positions], use_cache=False)[0]


def _in_rows(
    model: TorchModel, batch: list[Tree], prefix: KeysAndValues, seen: torch.Tensor
) -> torch.Tensor:
    """Return the same from rows that are padded, each after a copy of the prefix."""
    lengths = torch.tensor([len(t.ids) for t in batch])
    found = _forward(
        model,
        [t.ids for t in batch],
        [t.positions for t in batch],
        use_cache=bool(prefix),
        past_key_values=for_rows(prefix, len(batch)) if prefix else None,
        attention_mask=None if all(t.plain for t in batch) else _mask(model, seen, prefix),
    )
    return found[torch.arange(found.shape[1]) < lengths[:, None]]


def _forward(
    model: TorchModel,
    ids: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    **given: Any,
) -> torch.Tensor:
    placed = {"input_ids": _padded(ids, 0), "position_ids": _padded(positions, 0)}
    placed = {name: value.to(model.device) for name, value in placed.items()}
    found: torch.Tensor = model.get_decoder()(**placed, **given).last_hidden_state
    return found


def _causal(size: int) -> torch.Tensor:
    return torch.ones(1, size, size, dtype=torch.bool).tril()


def _seen(batch: list[Tree]) -> torch.Tensor:
    """Return who sees whom, bool (trees, tokens, tokens): what is earlier, and on its way.

    Padding comes last and sees itself, so no row of the softmax is empty.
    """
    branches = _padded([t.branches for t in batch], -2)
    same = branches[:, :, None] == branches[:, None, :]
    return _causal(branches.shape[1]) & (same | (branches[:, None, :] == -1))


def _mask(model: TorchModel, seen: torch.Tensor, prefix: KeysAndValues) -> torch.Tensor:
    """Return the mask of rows that see all of the prefix in front of them."""
    shared = prefix[0][0].shape[2] if prefix else 0
    seen = torch.nn.functional.pad(seen, (shared, 0), value=True)[:, None]
    return added(seen, model.dtype).to(model.device)


def _wanted(model: TorchModel, batch: list[Tree], hidden: torch.Tensor) -> list[list[Token]]:
    """Return the log-probability of every wanted token of every tree."""
    starts = accumulate((len(t.ids) for t in batch), initial=0)
    rows = [
        start + place for start, t in zip(starts, batch, strict=False) for place, _, _ in t.wanted
    ]
    tokens = [token for tree in batch for _, token, _ in tree.wanted]
    # A place may predict for several spans (four letters): its logits are computed once.
    places = sorted(set(rows))
    number = {place: n for n, place in enumerate(places)}
    chosen = hidden[torch.tensor(places, device=hidden.device)]
    values = iter(token_logprobs(model, chosen, [number[r] for r in rows], tokens))
    return [[next(values) for _ in tree.wanted] for tree in batch]


def _padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
