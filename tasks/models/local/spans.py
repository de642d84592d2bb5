"""Texts as token ids to be scored, and the least work that scores several of them together."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.text.special import encode_texts
from tasks.text.template import Tokenizer

MIN_SHARED = 64
"""Tokens of a shared prefix below which computing it apart costs more than it saves."""

_TRUNK = -1


class Span(NamedTuple):
    """Token ids, and the positions whose log-probability (given all before) is wanted.

    Position 0 has nothing before it and can't be wanted.
    """

    ids: Sequence[int]
    at: Sequence[int]


def encode_options(tokenizer: Tokenizer, context: str, options: Sequence[str]) -> list[Span]:
    """Return a context with each of its continuations as a span, the continuation's tokens wanted.

    As lm-evaluation-harness 0.4.13 (``TemplateLM._encode_pair``): spaces at the end of the context
    belong to the continuation, both are tokenised as one text, and the continuation is what comes
    after as many tokens as the context has by itself.
    """
    stripped = context.rstrip()
    gap = context[len(stripped) :]
    alone, *whole = encode_texts(tokenizer, [stripped, *(stripped + gap + o for o in options)])
    if not alone:
        # Nothing comes before: the first token follows the one that begins a sequence.
        first = tokenizer.bos_token_id
        first = tokenizer.eos_token_id if first is None else first
        alone, whole = [first], [[first, *ids] for ids in whole]
    # At least the last token is the continuation's, should a tokenizer merge it with the context.
    return [Span(ids, range(min(len(alone), len(ids) - 1), len(ids))) for ids in whole]


def fit(span: Span, limit: int | None) -> tuple[Span, bool]:
    """Return the span cut on the left to what a model of ``limit`` positions can score.

    The last token is only predicted, so one more than the limit fits, as in lm-evaluation-harness.

    Returns:
        The span, and whether anything was cut.
    """
    over = len(span.ids) - (limit + 1) if limit is not None else 0
    if over <= 0:
        return span, False
    return Span(span.ids[over:], [p - over for p in span.at if p > over]), True


@dataclass(frozen=True)
class Tree:
    """Spans with a common beginning, packed into one sequence: trunk, then one branch a span.

    Attributes:
        index: Which group it came from.
        ids: Token ids, trunk first; a branch lacks its last token, which nothing follows.
        positions: Position of each token in its own span.
        branches: Branch of each token, -1 in the trunk; a token sees the trunk and its branch.
        wanted: (place in ``ids`` that predicts, token id, span) for each wanted log-probability.
    """

    index: int
    ids: list[int]
    positions: list[int]
    branches: list[int]
    wanted: list[tuple[int, int, int]] = field(repr=False)

    @property
    def plain(self) -> bool:
        """Whether it is one causal sequence."""
        return all(b in (_TRUNK, self.branches[-1]) for b in self.branches)

    def trunk(self) -> list[int]:
        """Return the tokens before anything that is wanted or branches off."""
        first = min((place for place, _, _ in self.wanted), default=0)
        inside = next((i for i, b in enumerate(self.branches) if b != _TRUNK), len(self.ids))
        return self.ids[: min(first, inside)]

    def without(self, shared: int) -> "Tree":
        """Return the tree without the first ``shared`` tokens, positions kept."""
        wanted = [(place - shared, token, span) for place, token, span in self.wanted]
        return Tree(
            self.index, self.ids[shared:], self.positions[shared:], self.branches[shared:], wanted
        )


def pack(index: int, spans: Sequence[Span]) -> Tree:
    """Return the spans as one tree, their longest common token prefix computed once."""
    shared = min((len(s.ids) - 1 for s in spans), default=0)
    shared = min([shared, *(common(spans[0].ids, s.ids) for s in spans[1:])])
    ids, positions = list(spans[0].ids[:shared]), list(range(shared))
    branches, wanted = [_TRUNK] * shared, list[tuple[int, int, int]]()
    for number, span in enumerate(spans):
        start = len(ids) - shared
        ids += span.ids[shared:-1]
        positions += range(shared, len(span.ids) - 1)
        branches += [number] * (len(span.ids) - 1 - shared)
        wanted += [(p - 1 if p <= shared else p - 1 + start, span.ids[p], number) for p in span.at]
    return Tree(index, ids, positions, branches, wanted)


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two sequences share at the beginning."""
    size = min(len(first), len(second))
    if first[:size] == second[:size]:
        return size
    # Halving compares slices, which C does: few-shot prompts share hundreds of tokens.
    low, high = 0, size
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if first[low:middle] == second[low:middle] else (low, middle)
    return low


class Cluster(NamedTuple):
    """Trees that share their first ``prefix`` tokens (none: nothing is shared)."""

    prefix: list[int]
    trees: list[Tree]


def clusters(trees: Sequence[Tree]) -> Iterator[Cluster]:
    """Yield the trees grouped by shared prefix, those that share none in one cluster, last.

    Trees are taken in the order of their tokens, and a group grows while that saves tokens.
    """
    loose: list[Tree] = []
    group: list[Tree] = []
    prefix: list[int] = []
    for tree in sorted(trees, key=lambda t: t.ids):
        trunk = tree.trunk()
        shared = common(prefix, trunk)
        if group and shared >= MIN_SHARED and len(group) * shared >= (len(group) - 1) * len(prefix):
            group.append(tree)
            prefix = prefix[:shared]
            continue
        loose += yield from _close(prefix, group)
        group, prefix = [tree], trunk
    loose += yield from _close(prefix, group)
    if loose:
        yield Cluster([], loose)


def _close(prefix: list[int], group: list[Tree]) -> Generator[Cluster, None, list[Tree]]:
    """Yield the group as a cluster; return its trees instead where it is of one."""
    if len(group) < 2:
        return group
    yield Cluster(prefix, [t.without(len(prefix)) for t in group])
    return []


def batches(trees: Sequence[Tree], tokens: int, copied: int | None = None) -> Iterator[list[Tree]]:
    """Yield the trees in batches of like length, at most ``tokens`` tokens each.

    Args:
        trees: The trees.
        tokens: Budget of a batch; one tree may exceed it.
        copied: Cached tokens in front of each tree, where rows are padded to the longest. They
            count an eighth: they cost memory and attention, no matrix multiplication. None: rows
            are neither padded nor is anything copied.
    """
    batch: list[Tree] = []
    size, front = 0, (copied or 0) // 8
    for tree in sorted(trees, key=lambda t: len(t.ids), reverse=True):
        longest = batch[0] if batch and copied is not None else tree
        size += len(longest.ids) + front
        if batch and size > tokens:
            yield batch
            batch, size = [], len(tree.ids) + front
        batch.append(tree)
    if batch:
        yield batch
