"""What may be left out of a model's work without changing what it says, found by asking it.

Prefixes that several texts share are computed once, and texts of different lengths go through the
model together. Both are sound for full causal attention over relative positions, and for little
else: a recurrent state has no keys to share, a window counts tokens that aren't the row's own, a
rope that follows the longest text in a batch makes one answer depend on another. What a model is
says which of it can be sound; a few short texts, scored and answered in both ways, show it.
"""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

Scoring = Literal["shared", "rows", "alone"]
"""``shared``: what spans have in common is computed once. ``rows``: a row a span, several a pass.
``alone``: a pass a span."""

Answering = Literal["shared", "padded", "alone"]
"""``shared``: what prompts begin with is computed once. ``padded``: prompts of a batch are padded
on their left. ``alone``: one prompt at a time."""

SCORING: tuple[Scoring, ...] = ("shared", "rows", "alone")
ANSWERING: tuple[Answering, ...] = ("shared", "padded", "alone")


class Layout(NamedTuple):
    """How texts are scored and prompts are answered."""

    scoring: Scoring
    answering: Answering


class Shortcuts(NamedTuple):
    """What may be left out of a model's work.

    Attributes:
        within: Of texts up to ``reach`` tokens, prompt and answer together.
        reach: None where it holds at any length.
        beyond: Of longer texts.
        own_head: Whether log-probabilities may be computed from hidden states at the places asked
            about; else the model computes those of all places.
        why: What the config says of the model that forbids more, in words.
    """

    within: Layout
    reach: int | None
    beyond: Layout
    own_head: bool
    why: str

    def at(self, tokens: int) -> Layout:
        """Return how a text of so many tokens is put to the model."""
        return self.within if self.reach is None or tokens <= self.reach else self.beyond

    def describe(self) -> dict[str, Any]:
        """Return the same for a manifest."""
        return {
            "within": self.within._asdict(),
            "reach": self.reach,
            "beyond": self.beyond._asdict(),
            "own_head": self.own_head,
            "why": self.why,
        }


PLAIN = Shortcuts(Layout("shared", "shared"), None, Layout("shared", "shared"), True, "")

_WINDOWS = (
    "sliding_window",
    "attention_chunk_size",
    "attention_window_size",
    "window_size",
    "local_attention",
)
_ATTENTION = frozenset({"full_attention", "sliding_attention", "chunked_attention"})
_FOLLOWING = frozenset({"dynamic", "longrope"})
"""Kinds of rope whose frequencies follow the longest text of a pass."""


def read_limits(config: Any) -> Shortcuts:
    """Return what a config leaves possible: recurrent layers, windows, a rope that follows."""
    config = config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    other = sorted(kinds - _ATTENTION)
    if other:
        rows = Layout("rows", "padded")
        return Shortcuts(rows, None, rows, True, f"layers of {', '.join(other)}")
    found = [(n, size) for n in _WINDOWS if (size := getattr(config, n, None))]
    windows = [] if kinds == {"full_attention"} else [x for x in found if isinstance(x[1], int)]
    ropes = [r for r in rope_parameters(config) if r.get("rope_type") in _FOLLOWING]
    if ropes:
        starts = [
            r.get("original_max_position_embeddings") or config.max_position_embeddings
            for r in ropes
        ]
        reach = min([*map(int, starts), *(size for _, size in windows)])
        kind = ropes[0]["rope_type"]
        why = f"{kind} rope beyond {reach} tokens"
        return Shortcuts(PLAIN.within, reach, Layout("alone", "alone"), True, why)
    if windows:
        name, reach = min(windows, key=lambda x: x[1])
        why = f"{name} of {reach} tokens"
        return Shortcuts(PLAIN.within, reach, Layout("rows", "padded"), True, why)
    return PLAIN


def rope_parameters(config: Any) -> list[dict[str, Any]]:
    """Return a config's rope parameters, those of each kind of layer where they differ."""
    rope = getattr(config, "rope_parameters", None) or {}
    nested = [r for r in rope.values() if isinstance(r, dict) and "rope_type" in r]
    return nested or ([rope] if "rope_type" in rope else [])


def read_kept(file: Path) -> Shortcuts:
    """Return the outcome of an earlier probe."""
    told = json.loads(file.read_text(encoding="utf-8"))
    told["within"], told["beyond"] = Layout(**told["within"]), Layout(**told["beyond"])
    return Shortcuts(**told)
