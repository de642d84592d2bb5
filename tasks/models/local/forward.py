"""Log-probabilities of tokens, in float32, each text in the layout that its model allows."""

from collections.abc import Callable, Container, Iterator, Sequence
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
from tasks.models.local.shortcuts import SCORING, Scoring, Shortcuts, rope_parameters
from tasks.models.local.spans import (
    Span,
    Tree,
    batches,
    clusters,
    group_batches,
    pack,
    plain_trees,
)

# From hidden states to log-probabilities, at the places and for the tokens that are asked.

CHUNK = 512
"""Places whose logits over the vocabulary are held at a time."""


class Token(NamedTuple):
    """A token's log-probability (nats) at its place, and whether none there is likelier."""

    logprob: float
    best: bool


LogitsOf = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


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

    def exact_logits(part: torch.Tensor, place: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        logits = model.get_output_embeddings()(part).float()
        logits[place, asked] = _exact(model, part[place], asked)
        return _scaled(model, logits)

    return _normalise(hidden, rows, tokens, exact_logits)


def logprobs_of_logits(
    logits: torch.Tensor, rows: Sequence[int], tokens: Sequence[int]
) -> list[Token]:
    """Return the same from logits as the model gives them, (places, vocabulary)."""
    return _normalise(logits, rows, tokens, lambda part, place, asked: part.float())


def _normalise(
    states: torch.Tensor, rows: Sequence[int], tokens: Sequence[int], logits_of: LogitsOf
) -> list[Token]:
    """Return log-probabilities of tokens, a part of the places at a time.

    Args:
        states: What the logits of a place are made of, (places, width).
        rows: For each token asked about, which place predicts it.
        tokens: Token ids, as many as ``rows``.
        logits_of: Gives float32 logits of a part of the states, and is told which of its places
            and tokens are asked about.
    """
    row = torch.tensor(rows, device=states.device)
    token = torch.tensor(tokens, device=states.device)
    found = torch.empty(len(tokens), dtype=torch.float32, device=states.device)
    best = torch.empty(len(tokens), dtype=torch.bool, device=states.device)
    for start in range(0, len(states), CHUNK):
        inside = (row >= start) & (row < start + CHUNK)
        place, asked = row[inside] - start, token[inside]
        logits = logits_of(states[start : start + CHUNK], place, asked)
        found[inside] = logits[place, asked] - logits.logsumexp(dim=-1)[place]
        best[inside] = logits[place, asked] >= logits.max(dim=-1).values[place]
    return [Token(*pair) for pair in zip(found.tolist(), best.tolist(), strict=True)]


def _exact(model: TorchModel, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    head = model.get_output_embeddings()
    logits: torch.Tensor = (hidden.float() * head.weight[tokens].float()).sum(dim=-1)
    bias = getattr(head, "bias", None)
    return logits if bias is None else logits + bias[tokens].float()


def _scaled(model: TorchModel, logits: torch.Tensor) -> torch.Tensor:
    """Apply what some models do to their logits after the head (Cohere, Granite, Gemma, Falcon)."""
    config = model.config.get_text_config()
    for times in ("logit_scale", "lm_head_multiplier"):
        if getattr(config, times, None):
            logits = logits * getattr(config, times)
    if getattr(config, "logits_scaling", None):
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return cap * torch.tanh(logits / cap) if cap else logits


class Score(NamedTuple):
    """Summed log-probability (nats) of a span's wanted tokens, and whether all are likeliest."""

    logprob: float
    greedy: bool


Scored = list[tuple[int, list[Score]]]
"""Scores of one forward pass (or a few) with the groups' places."""


def score_groups(
    model: TorchModel,
    groups: Sequence[Sequence[Span]],
    shortcuts: Shortcuts,
    batch_tokens: int = 2048,
    skip: Container[int] = frozenset(),
) -> Iterator[Scored]:
    """Yield the scores of one forward pass after another, with the groups' places.

    Batches are made of all groups; one whose places are all in ``skip`` is left out, and so are
    groups without a wanted token.

    Args:
        model: From ``load_weights``.
        groups: Spans that begin alike.
        shortcuts: What may be left out of the work.
        batch_tokens: Padded tokens of a forward pass.
        skip: Places that aren't needed.
    """
    places: dict[Scoring, list[int]] = {layout: [] for layout in SCORING}
    for i, group in enumerate(groups):
        if any(span.at for span in group):
            longest = max(len(span.ids) for span in group)
            places[shortcuts.at(longest).scoring].append(i)
    reset_rope(model)
    shared = [pack(i, groups[i]) for i in places["shared"]]
    yield from _score_shared(model, shared, groups, batch_tokens, skip)
    plain: tuple[Scoring, ...] = ("rows", "alone")
    for layout in plain:
        rows = [plain_trees(i, groups[i], whole=layout == "alone") for i in places[layout]]
        for batch in group_batches(rows, batch_tokens if layout == "rows" else 1):
            if all(trees[0].index in skip for trees in batch):
                continue
            trees = [tree for own in batch for tree in own]
            passes = [trees] if layout == "rows" else [[tree] for tree in trees]
            with torch.inference_mode():
                values = [v for one in passes for v in _in_plain_rows(model, one, shortcuts)]
            found = dict[int, list[Score]]()
            for tree, value in zip(trees, values, strict=True):
                known = found.get(tree.index, [Score(0.0, True)] * len(groups[tree.index]))
                found[tree.index] = _summed(tree, known, value)
            yield list(found.items())


def _score_shared(
    model: TorchModel,
    trees: Sequence[Tree],
    groups: Sequence[Sequence[Span]],
    batch_tokens: int,
    skip: Container[int],
) -> Iterator[Scored]:
    """Yield scores of groups as trees, what several begin with computed once."""
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
                (tree.index, _summed(tree, [Score(0.0, True)] * len(groups[tree.index]), values))
                for tree, values in zip(batch, found, strict=True)
            ]


def _summed(tree: Tree, known: list[Score], values: list[Token]) -> list[Score]:
    sums = list(known)
    for (_, _, span), value in zip(tree.wanted, values, strict=True):
        before = sums[span]
        sums[span] = Score(before.logprob + value.logprob, before.greedy and value.best)
    return sums


def _in_plain_rows(model: TorchModel, trees: list[Tree], shortcuts: Shortcuts) -> list[list[Token]]:
    """Return the values of rows that are padded on their right, as the model itself reads them."""
    reset_rope(model)
    ids = _padded([t.ids for t in trees], 0).to(model.device)
    lengths = torch.tensor([len(t.ids) for t in trees])
    real = torch.arange(ids.shape[1]) < lengths[:, None]
    if shortcuts.own_head:
        hidden = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state
        return _wanted(model, trees, hidden[real])
    return _wanted(model, trees, model(input_ids=ids).logits[real], whole=True)


def reset_rope(model: TorchModel) -> None:
    """Let a rope that grew with a long text forget it: a score is the text's own.

    In transformers a dynamic rope keeps the frequencies of the longest text so far, until a text
    shorter than the original length comes by.
    """
    config = model.config.get_text_config()
    if all("dynamic" not in str(r.get("rope_type")) for r in rope_parameters(config)):
        return
    for module in model.modules():
        if not hasattr(module, "original_max_seq_len"):
            continue
        names = {**vars(module), **dict(module.named_buffers(recurse=False))}
        for name in [n for n in names if n.endswith("original_inv_freq")]:
            # A rope with a set of frequencies for each kind of layer has a prefix for each.
            prefix = name.removesuffix("original_inv_freq")
            first = getattr(module, name).to(getattr(module, f"{prefix}inv_freq").device)
            module.register_buffer(f"{prefix}inv_freq", first, persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", module.original_max_seq_len)


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


def _wanted(
    model: TorchModel, batch: list[Tree], states: torch.Tensor, *, whole: bool = False
) -> list[list[Token]]:
    """Return the log-probability of every wanted token of every tree.

    Args:
        model: The model.
        batch: The trees.
        states: Of every token, (tokens, width): the last hidden state.
        whole: The states are logits over the vocabulary instead.
    """
    starts = accumulate((len(t.ids) for t in batch), initial=0)
    rows = [
        start + place for start, t in zip(starts, batch, strict=False) for place, _, _ in t.wanted
    ]
    tokens = [token for tree in batch for _, token, _ in tree.wanted]
    # A place may predict for several spans (four letters): its logits are computed once.
    places = sorted(set(rows))
    number = {place: n for n, place in enumerate(places)}
    chosen = states[torch.tensor(places, device=states.device)]
    asked = [number[r] for r in rows]
    if whole:
        values = iter(logprobs_of_logits(chosen, asked, tokens))
    else:
        values = iter(token_logprobs(model, chosen, asked, tokens))
    return [[next(values) for _ in tree.wanted] for tree in batch]


def _padded(rows: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
