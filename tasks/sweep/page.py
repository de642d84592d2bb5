"""``sweep.html``: the recommendation first, then the picture, the arms, and what they cost."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from pydantic import BaseModel, ConfigDict

from tasks.pages import render, write_page
from tasks.scores import Estimate, GateResult
from tasks.storage import write_text
from tasks.sweep.choice import ArmLine, Outcome, Recommendation
from tasks.tracking.scorecard.card import Arm, Axis, arm_of
from tasks.tracking.scorecard.figures import retention_figure

PAGE, RECORD, PICTURE = "sweep.html", "sweep.json", "frontier.svg"
MOST_NAMES = 6
"""Arms that are named in the picture; more are numbered as in the table."""


class SweepCard(BaseModel):
    """One sweep's evidence.

    Attributes:
        name: The recipe's.
        domain: The domain metric, as suite/metric, that arms are chosen by.
        retention: The general metric drawn beside it; None where there is none.
        base: The base model's metrics on the dev items.
        shared: Kind of result -> how many were made, and how many arms they served.
        confirmed: The recommended arm's gates on test items.
        verdict: Of the confirmation; empty where there was none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    run_id: str
    domain: str
    retention: str | None
    higher: tuple[bool, bool]
    floor: float | None
    base: dict[str, Estimate]
    lines: tuple[ArmLine, ...]
    outcomes: tuple[Outcome, ...]
    recommendation: Recommendation
    shared: dict[str, tuple[int, int]]
    confirmed: tuple[GateResult, ...] = ()
    confirmed_run: str = ""
    verdict: str = ""


def write_sweep_page(card: SweepCard, folder: Path) -> Path:
    """Write page, record and picture into ``folder`` and return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RECORD, card.model_dump_json(indent=1))
    picture = draw_frontier(card)
    if picture is not None:
        write_text(folder / PICTURE, _standalone(picture))
    return write_page(folder / PAGE, sweep_html(card, picture))


def sweep_html(card: SweepCard, picture: Markup | None) -> str:
    """Return the page; every value from data is escaped."""
    most = max((line.tokens for line in card.lines), default=0)
    return render(
        "sweep",
        name=card.name,
        run_id=card.run_id,
        domain=card.domain,
        retention=card.retention,
        items=card.lines[0].domain.n if card.lines else 0,
        recommendation=card.recommendation,
        settings=_settings(card),
        picture=picture,
        numbered=len(card.lines) >= MOST_NAMES,
        base=_base(card),
        lines=[_line(i, line, card, most) for i, line in enumerate(card.lines, 1)],
        problems=[o for o in card.outcomes if o.state != "done"],
        shared=card.shared,
        confirmed=card.confirmed,
        confirmed_run=card.confirmed_run,
        verdict=card.verdict,
        tokens=sum(o.tokens for o in card.outcomes),
        seconds=sum(o.seconds for o in card.outcomes),
    )


def draw_frontier(card: SweepCard) -> Markup | None:
    """Return domain against general, a point an arm; None where there is no general metric."""
    if card.retention is None or not card.lines:
        return None
    axes = (
        Axis(card.retention, card.higher[1], card.floor),
        Axis(card.domain, card.higher[0]),
    )
    base = Arm(name="base", metrics={m: card.base[m] for m in (card.domain, card.retention)})
    arms = [base, *(_arm(line, card) for line in card.lines)]
    labels = (
        {line.arm: str(i) for i, line in enumerate(card.lines, 1)}
        if len(card.lines) >= MOST_NAMES
        else None
    )
    return retention_figure(arms, *axes, list_curves(card.lines), labels, _seeds(card))


def list_curves(lines: Sequence[ArmLine]) -> list[list[str]]:
    """Return the arms that differ in alpha alone, from the base on: the path weights take."""
    curves: dict[str, list[ArmLine]] = {}
    for line in lines:
        curves.setdefault(line.arm.partition("alpha")[0], []).append(line)
    return [
        ["base", *(x.arm for x in sorted(curve, key=lambda x: x.alpha))]
        for curve in curves.values()
        if len(curve) > 1
    ]


def _seeds(card: SweepCard) -> list[Arm]:
    several = {line.arm for line in card.lines if line.seeds > 1}
    return [
        arm_of(f"{o.arm}, seed {o.seed}", o.scores)
        for o in card.outcomes
        if o.state == "done" and o.arm in several
    ]


def _arm(line: ArmLine, card: SweepCard) -> Arm:
    assert card.retention is not None
    assert line.retention is not None
    return Arm(name=line.arm, metrics={card.domain: line.domain, card.retention: line.retention})


def _line(number: int, line: ArmLine, card: SweepCard, most: int) -> dict[str, Any]:
    return {
        "number": number,
        "arm": line.arm,
        "chosen": line.arm == card.recommendation.arm,
        "alike": line.arm in card.recommendation.alike,
        "general": f"{1 - line.domain_share:.0%}",
        "domain": _estimate(line.domain),
        "retention": _estimate(line.retention) if line.retention else None,
        "gap": None
        if line.gap is None
        else {
            "value": f"{line.gap.value:+.3f}",
            "between": f"{line.gap.low:+.3f} to {line.gap.high:+.3f}",
        },
        "holds": line.holds,
        "lost": line.lost,
        "seeds": line.seeds,
        "tokens": line.tokens,
        "cost": f"{100 * line.tokens / most:.0f}%" if most else "0%",
        "seconds": f"{line.seconds:,.0f}",
    }


def _base(card: SweepCard) -> dict[str, Any] | None:
    if not card.base:
        return None
    return {
        "domain": _estimate(card.base[card.domain]),
        "retention": _estimate(card.base[card.retention]) if card.retention else None,
    }


def _settings(card: SweepCard) -> list[str]:
    chosen = next((o for o in card.outcomes if o.arm == card.recommendation.arm), None)
    if chosen is None:
        return []
    return [f"{path}={json.dumps(value)}" for path, value in chosen.settings.items()]


def _estimate(e: Estimate) -> dict[str, str]:
    return {"value": f"{e.value:.4g}", "between": f"{e.low:.4g} to {e.high:.4g}"}


COLOURS = {
    "--ground": "#ffffff",
    "--line": "#d8dce2",
    "--ink": "#1b1f26",
    "--quiet": "#59616d",
    "--bad": "#a8211b",
    "--accent": "#2a5db0",
    "--accent-2": "#b5560a",
    "--accent-3": "#5f6b7a",
}


def _standalone(picture: Markup) -> str:
    """Return the picture as a file of its own: with the page's colours in it."""
    text = str(picture).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    for name, colour in COLOURS.items():
        text = text.replace(f"var({name})", colour)
    style = "<style>text { font: 12px sans-serif; fill: #59616d }</style>"
    return text.replace("<title>", f"{style}<title>", 1)
