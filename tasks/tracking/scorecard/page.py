"""The scorecard page: base and candidate side by side, the gates, and the picture of the trade."""

import json
from pathlib import Path
from typing import Any

from configs.loading import recipe_digest
from configs.redaction import redact
from tasks.artifacts import CleanSource
from tasks.pages import render, write_page
from tasks.scores import Estimate, GateResult
from tasks.storage import home, write_text
from tasks.tracking.losses import by_source, read_losses
from tasks.tracking.scorecard import answers, classes, figures
from tasks.tracking.scorecard.card import (
    Card,
    MetricLine,
    axes,
    card_record,
    metric_lines,
    read_lock,
)
from tasks.tracking.scorecard.figures import loss_figure, retention_figure
from tasks.tracking.scorecard.notes import notes

SAYS = {
    "PASS": "The candidate holds what it must hold and improves what it must improve.",
    "FAIL": "At least one gate fails: the candidate is not to be released on this evidence.",
    "INCONCLUSIVE": "No gate fails, but the items at hand can't show that all of them pass.",
}
MOST_SLICES = 10
MOST_LINES = 12
"""Sources drawn in the loss curve; more would hide each other."""


def scorecard(card: Card) -> Path:
    """Write ``scorecard.html`` and ``scorecard.json`` in ``runs/<run_id>/``; return the page."""
    folder = home("runs", card.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "scorecard.json", json.dumps(card_record(card), indent=1))
    return write_page(folder / "scorecard.html", scorecard_html(card))


def scorecard_html(card: Card) -> str:
    """Return the page; every value from data is escaped."""
    lock, losses = read_lock(card.mixture), by_source(read_losses(card.checkpoint))
    drawn = axes(card.recipe, card.arms[0])
    drawn_losses = dict(list(losses.items())[:MOST_LINES])
    return render(
        "scorecard",
        name=card.recipe.name,
        run_id=card.run_id,
        verdict=card.verdict,
        says=SAYS[card.verdict] if card.gates else "The recipe declares no gates.",
        picture=retention_figure(card.arms, *drawn) if drawn else None,
        gates=[_gate(g) for g in card.gates],
        suites=_suites(metric_lines(card)),
        notes=_notes(card),
        sources=[_source(s, lock["unit"]) for s in lock["sources"]],
        unit=lock["unit"],
        classes=classes.classes(card.base, card.candidate),
        letters=classes.letters(card.base, card.candidate),
        answers=answers.wrong_answers(card.candidate),
        reliability=figures.reliability(card.base, card.candidate),
        left_out_lines=len(losses) - len(drawn_losses),
        loss=loss_figure(drawn_losses) if any(drawn_losses.values()) else None,
        slices=[_slice(s) for s in card.slices if s["worse"]][:MOST_SLICES],
        sliced=len(card.slices),
        verdicts=[_quality(c) for c in card.clean],
        digests=_digests(card),
        training_notes=card.checkpoint.notes,
    )


def _gate(g: GateResult) -> dict[str, Any]:
    return {
        "metric": g.metric,
        "rule": g.rule,
        "verdict": g.verdict,
        "reason": g.reason,
        "n": g.n,
        "needed": g.needed_n,
        "base": f"{g.base:.4g}",
        "candidate": f"{g.candidate:.4g}",
        "difference": f"{g.difference:+.4g}",
        "between": f"{g.low:+.4g} to {g.high:+.4g}",
        "against": g.against,
        "seen": g.seen,
        "warns": g.policy == "warn",
    }


def _slice(s: dict[str, Any]) -> dict[str, Any]:
    return {
        "metric": s["metric"],
        "name": s["name"],
        "n": s["n"],
        "base": f"{s['first']:.4g}",
        "candidate": f"{s['second']:.4g}",
        "difference": f"{s['difference']:+.4g}",
        "adjusted": f"{s['adjusted']:.3f}",
    }


def _suites(lines: list[MetricLine]) -> dict[str, list[dict[str, Any]]]:
    suites: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        suite, _, metric = line.metric.partition("/")
        suites.setdefault(suite, []).append(
            {
                "metric": metric,
                "better": line.better,
                "n": line.base.n,
                "base": _estimate(line.base),
                "candidate": _estimate(line.candidate),
            }
        )
    return suites


def _notes(card: Card) -> dict[str, list[str]]:
    """Return what is to be known of each suite on either model."""
    found: dict[str, list[str]] = {}
    for who, of_model in (("base", card.base), ("candidate", card.candidate)):
        for scores in of_model:
            found.setdefault(scores.suite, []).extend(f"{who}: {n}" for n in notes(scores))
    return found


def _estimate(e: Estimate) -> dict[str, str]:
    between = f"{e.low:.4g} to {e.high:.4g}" if e.n else "no interval: it came without items"
    return {"value": f"{e.value:.4g}", "between": between}


def _source(line: dict[str, Any], unit: str) -> dict[str, Any]:
    return {
        "name": line["name"],
        "role": line["role"],
        "licence": line.get("licence"),
        "asked": f"{line['share']:.2%}",
        "got": f"{line['share_got'][unit]:.2%}",
        "rows": line["rows"],
        "tokens": line["tokens"],
        "epochs": f"{line['epochs']:.2f}",
        "supervised": line["supervised_tokens"],
        "note": line.get("note", ""),
    }


def _quality(clean: CleanSource) -> dict[str, Any]:
    shown = clean.model_dump(include={"verdict", "reason", "rows_in", "rows_out"})
    return {"name": clean.name, **shown, "uri": redact(clean.origin.uri)}


def _digests(card: Card) -> dict[str, str]:
    return {
        "recipe": recipe_digest(card.recipe),
        "base weights": card.checkpoint.parent,
        "candidate weights": card.checkpoint.digest,
        "adapter": card.checkpoint.adapter_digest,
        "mixture": card.mixture.digest,
        **{f"suite {s.suite}": s.fingerprint for s in card.candidate},
    }
