"""What a model may be spared, found by scoring and answering a few short texts in both ways."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch

from tasks.errors import SetupError
from tasks.models.local.answering import greedy_config, lay_out, run_generate
from tasks.models.local.forward import reset_rope, score_groups
from tasks.models.local.loading import TorchModel, most_positions
from tasks.models.local.prefix_cache import for_rows, keys_and_values
from tasks.models.local.shortcuts import (
    ANSWERING,
    SCORING,
    Answering,
    Layout,
    Scoring,
    Shortcuts,
    read_kept,
    read_limits,
)
from tasks.models.local.spans import Span, plain_trees
from tasks.storage import disk_errors, write_text

PROBED = {"cpu": 320, "cuda": 2200}
"""Tokens, by device, up to which texts are made: beyond longer windows the config alone decides."""

TOLERANCE = {torch.float32: 5e-4, torch.bfloat16: 0.1, torch.float16: 0.05}
"""Nats a token by which two ways of computing the same may differ on average."""

NEW_TOKENS = 4
"""Tokens of an answer of the probe."""

_KNOWN: "WeakKeyDictionary[Any, Shortcuts]" = WeakKeyDictionary()


def shortcuts_of(model: TorchModel, kept: Path | None = None) -> Shortcuts:
    """Return what may be left out of a model's work; it is asked once.

    Args:
        model: From ``load_weights``.
        kept: File in which the outcome is kept for the next process; called by all that decides
            it.

    Raises:
        SetupError: The model doesn't read from left to right, or it can't be run.
    """
    if model not in _KNOWN:
        if kept is not None and kept.is_file():
            found = read_kept(kept)
        else:
            found = probe(model)
            if kept is not None:
                with disk_errors(kept.parent):
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    write_text(kept, json.dumps(found.describe()))
        _KNOWN[model] = found
    return _KNOWN[model]


def probe(model: TorchModel) -> Shortcuts:
    """Return the shortcuts that leave a model's scores and greedy answers as they are.

    Scores are those of one plain forward pass a text, answers those of the library's ``generate``
    for one prompt. Of the layouts that the config leaves possible, the cheapest that gives the
    same is taken.

    Raises:
        SetupError: The model doesn't read from left to right, or can't score or answer at all.
    """
    limits = read_limits(model.config)
    texts = _Texts(model)
    room = texts.room if limits.reach is None else min(texts.room, limits.reach)
    short = texts.make(min(room, 88), 0)
    scores = _PlainScores(model, short.groups)
    scores.refuse_looking_ahead()
    alone = limits._replace(within=Layout("alone", "alone"), beyond=Layout("alone", "alone"))
    if not scores.alike(alone, [len(short.groups) - 1]):
        limits, alone = limits._replace(own_head=False), alone._replace(own_head=False)
        if not scores.alike(alone, [len(short.groups) - 1]):
            raise _unusable(model, "scores of a text differ from one forward pass to the next")
    within = _find_layout(scores, short, limits, limits.within)
    if limits.reach is None:
        return limits._replace(within=within, beyond=within)
    end = limits.reach + 40
    if end > min(texts.room, PROBED[model.device.type]):
        # Rows of their own are sound for whatever sees no later token; padding may not be.
        scoring: Scoring = "alone" if limits.beyond.scoring == "alone" else "rows"
        return limits._replace(within=within, beyond=Layout(scoring, "alone"))
    long = texts.make(end, limits.reach)
    beyond = _find_layout(_PlainScores(model, long.groups), long, limits, limits.beyond)
    return limits._replace(within=within, beyond=beyond)


class _Probe(NamedTuple):
    """Spans by group, and prompts that begin alike (``shared`` tokens), none of the same length."""

    groups: list[list[Span]]
    prompts: list[list[int]]
    shared: int


class _Texts:
    """Makes texts of random tokens, none of which the config gives a role."""

    def __init__(self, model: TorchModel) -> None:
        config = model.config.get_text_config()
        self._size = int(config.vocab_size)
        self._roles = {
            token
            for name, value in {**config.to_dict(), **model.config.to_dict()}.items()
            if name.endswith(("token_id", "token_index"))
            for token in (value if isinstance(value, list) else [value])
        }
        self._draw = random.Random(0)
        self.room = min(most_positions(model) or 4096, 4096) - 1

    def some(self, count: int) -> list[int]:
        found: list[int] = []
        while len(found) < count:
            token = self._draw.randrange(self._size)
            if token not in self._roles or self._size < 16:
                found.append(token)
        return found

    def make(self, longest: int, least: int) -> _Probe:
        """Return texts of up to ``longest`` tokens, all of them longer than ``least``."""
        own = max(2, min(6, (longest - least) // 4))
        shared = max(0, longest - 3 * own)
        head = self.some(shared)
        groups = []
        for more in (own, 2 * own - 1):
            context = head + self.some(more + max(0, least - shared - more))
            last = max(1, min(4, longest - len(context)))
            # Of two tokens at least each: an option's last one is only predicted.
            options = [self.some(min(2, last)), self.some(last)]
            groups.append(
                [Span(context + o, range(len(context), len(context) + len(o))) for o in options]
            )
        context = head + self.some(max(1, own - 1 + max(0, least - shared - own + 1)))
        groups.append([Span([*context, t], [len(context)]) for t in self.some(3)])
        shared = max(1, min(longest - NEW_TOKENS - own, longest if least else 24))
        head = self.some(shared)
        return _Probe(groups, [head + self.some(count) for count in (1, own, 3)], shared)


class _PlainScores:
    """Scores of spans by one plain forward pass a text, made once, to compare others with."""

    def __init__(self, model: TorchModel, groups: list[list[Span]]) -> None:
        self.model, self._groups = model, groups
        self._known: dict[int, list[float]] = {}

    def refuse_looking_ahead(self) -> None:
        """Refuse a model of which an earlier token's prediction depends on a later token."""
        ids = list(self._groups[0][-1].ids)
        half = len(ids) // 2
        whole, part = _plain_logprobs(self.model, ids), _plain_logprobs(self.model, ids[:half])
        if not bool(torch.isfinite(whole).all()):
            raise _unusable(self.model, "its log-probabilities aren't numbers")
        apart = (whole[:half] - part).abs().mean() / part.std().clamp(min=1e-6)
        if float(apart) > 0.05:
            raise _unusable(self.model, "a later token changes what it says of an earlier one")

    def alike(self, shortcuts: Shortcuts, places: Sequence[int] | None = None) -> bool:
        """Return whether scores are these.

        Args:
            shortcuts: How they are computed.
            places: Of the groups that are compared; None: all.
        """
        places = range(len(self._groups)) if places is None else places
        groups = [self._groups[i] for i in places]
        expected = [self._expected(i) for i in places]
        try:
            parts = list(score_groups(self.model, groups, shortcuts, 600))
        except torch.OutOfMemoryError:
            raise
        except Exception:
            # A layout that this kind of model knows nothing of: no keys to share, no argument.
            return False
        found = dict(one for part in parts for one in part)
        apart = [
            abs(score.logprob - wanted) / len(span.at)
            for i, group in enumerate(groups)
            for score, wanted, span in zip(found[i], expected[i], group, strict=True)
        ]
        return sum(apart) / len(apart) <= TOLERANCE[self.model.dtype]

    def _expected(self, place: int) -> list[float]:
        if place not in self._known:
            sums = [0.0] * len(self._groups[place])
            for tree in plain_trees(place, self._groups[place], whole=True):
                logprobs = _plain_logprobs(self.model, tree.ids)
                for before, token, span in tree.wanted:
                    sums[span] += float(logprobs[before, token])
            self._known[place] = sums
        return self._known[place]


def _plain_logprobs(model: TorchModel, ids: Sequence[int]) -> torch.Tensor:
    """Return log-probabilities (tokens, vocabulary) of one plain forward pass."""
    reset_rope(model)
    try:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([list(ids)], device=model.device)).logits
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise _unusable(model, f"a plain forward pass fails: {error}") from error
    found: torch.Tensor = logits[0].float().log_softmax(dim=-1)
    return found


def _unusable(model: TorchModel, why: str) -> SetupError:
    kind = model.config.model_type
    return SetupError(
        f"models of type '{kind}' can't be evaluated here: {why}.",
        where=f"model type {kind}",
        fix="use a causal language model.",
    )


def _find_layout(scores: _PlainScores, probe: _Probe, limits: Shortcuts, most: Layout) -> Layout:
    """Return the cheapest layout, at most what the config allows, that changes nothing."""
    scoring: Scoring = "alone"
    for candidate in SCORING[SCORING.index(most.scoring) : -1]:
        layout = Layout(candidate, "alone")
        if candidate == "shared" and not limits.own_head:
            continue
        if scores.alike(limits._replace(within=layout, beyond=layout)):
            scoring = candidate
            break
    steps = _Steps(scores.model, probe)
    answering: Answering = "alone"
    for choice in ANSWERING[ANSWERING.index(most.answering) : -1]:
        if steps.alike(probe.shared if choice == "shared" else 0):
            answering = choice
            break
    return Layout(scoring, answering)


class _Steps:
    """Greedy answers with the log-probabilities of each step, one prompt at a time first."""

    def __init__(self, model: TorchModel, probe: _Probe) -> None:
        self._model, self._probe = model, probe
        try:
            self._alone = [s for p in probe.prompts for s in self._answer([p], 0)]
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise _unusable(model, f"the library can't generate with it: {error}") from error

    def alike(self, shared: int) -> bool:
        """Return whether a batch gives the same, of whose prompts ``shared`` are computed once."""
        try:
            together = list(self._answer(self._probe.prompts, shared))
        except torch.OutOfMemoryError:
            raise
        except Exception:
            return False
        apart = [
            difference
            for one, other in zip(self._alone, together, strict=True)
            for difference in _differences(one, other)
        ]
        return sum(apart) / len(apart) <= TOLERANCE[self._model.dtype]

    def _answer(self, prompts: list[list[int]], shared: int) -> Iterator[torch.Tensor]:
        """Yield each answer's log-probabilities, (steps, vocabulary)."""
        ids, mask = lay_out(prompts, shared, 0, self._model.device)
        more: dict[str, Any] = {}
        if shared:
            with torch.inference_mode():
                known = keys_and_values(self._model, prompts[0][:shared])
            more["past_key_values"] = for_rows(known, len(prompts))
        config = greedy_config(NEW_TOKENS, [], 0)
        config.return_dict_in_generate = config.output_logits = True
        out = run_generate(self._model, ids, mask, config, **more)
        steps = torch.stack(out.logits, dim=1).float().log_softmax(dim=-1)
        yield from steps


def _differences(one: torch.Tensor, other: torch.Tensor) -> list[float]:
    """Return by how much two answers' steps differ, up to the first where another token is taken.

    There both have read the same: were they computed alike, the two tokens would be as good as
    tied, and what is compared is how likely the first one's token is.
    """
    found = []
    for step, again in zip(one, other, strict=True):
        token = int(step.argmax())
        found.append(abs(float(step[token] - again[token])))
        if int(again.argmax()) != token:
            break
    return found
