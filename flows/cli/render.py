"""Answers as people read them."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.cli.doctor import Check
from flows.cli.terminal import out, print_table
from flows.report import Changes, RunReport
from tasks.artifacts import CleanSource, MixtureReceipt
from tasks.scores import Estimate, SuiteScores
from tasks.training.preflight.estimate import Preflight

if TYPE_CHECKING:  # what these come from takes seconds to load, and --help shows none of them
    from configs.reference import SectionPage
    from flows.dry_run import DryRun
    from flows.promote import Promotion
    from flows.reproduce import Reproduction
    from flows.sweep import SweepReport
    from tasks.export.stage import Export
    from tasks.gates.compare import Comparison
    from tasks.lineage.trace import Trace
    from tasks.lineage.why import Explanation
    from tasks.mixture.table import PlanTable

NO_ITEMS = "none (no items)"
MOST_SLICES = 10
MOST_CHANGES = 5


def show_dry_run(found: "DryRun") -> None:
    """Show a dry run, or a plan for Nova: the table, what was looked at, the request as it is."""
    show_plan(found.table)
    if found.preflight is not None:
        show_preflight(found.preflight)
    out.print("the request:", markup=False)
    out.print_json(json.dumps(found.request, default=str))


def show_preflight(found: Preflight) -> None:
    """Show what was looked at of a backend."""
    rows = [[look.name, look.state, look.says, look.fix] for look in found.looks]
    print_table(f"preflight: {found.backend}", ["look", "state", "says", "fix"], rows)


def show_suite(rows: Sequence[Sequence[str]]) -> None:
    """Show what is expected of a source."""
    print_table("suite", ["about", "expected", "severity"], rows)


def show_plan(found: "PlanTable") -> None:
    """Show the plan of a mixture, with its notes."""
    from tasks.mixture.table import format_cells, list_notes

    print_table(
        f"plan {found.digest[:12]}: {found.total:,} {found.unit}",
        ["source", "role", "weight", "share", "rows", "tokens", "supervised", "epochs", "got"],
        [format_cells(line, found.unit) for line in found.sources],
    )
    for line in list_notes(found):
        out.print(line, markup=False)


def show_check(
    found: Sequence[CleanSource], verdicts: Sequence[Mapping[str, Any]], notes: Sequence[str]
) -> None:
    """Show the verdict on each source, what was set aside and what is only reported."""
    rows = [
        [
            v["source"],
            v["verdict"],
            f"{v['rows_in']:,}",
            f"{v['rows_out']:,}",
            _list_counts(
                {
                    **v["findings"],
                    "beyond limit": v["beyond_limit"],
                    **{f"overlap:{suite}": rows for suite, rows in v["overlaps"].items()},
                }
            ),
            _list_counts(v["reported"]),
        ]
        for v in verdicts
    ]
    names = ["source", "verdict", "rows in", "rows out", "left out", "reported, and kept"]
    print_table("quality", names, rows)
    for note in notes:
        out.print(note, markup=False)
    for clean in found:
        if clean.reason:
            out.print(f"{clean.name}: {clean.reason}", markup=False)
        out.print(f"page: {clean.path / 'page.html'}", markup=False, soft_wrap=True)


def _list_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {rows:,}" for name, rows in counts.items() if rows) or "none"


def show_scores(found: Sequence[SuiteScores]) -> None:
    """Show scores, the worst classes, and what is to be known of them."""
    from tasks.tracking.scorecard.notes import notes

    print_table(
        "scores",
        ["metric", "value", "95 % interval", "n"],
        [
            [f"{s.suite}/{m}", f"{e.value:.4f}", _interval(e), f"{e.n:,}"]
            for s in found
            for m, e in s.metrics.items()
        ],
    )
    for scores in found:
        _show_worst_classes(scores)
    for scores in found:
        for note in notes(scores):
            out.print(f"{scores.suite}: {note}", markup=False, soft_wrap=True)


def _interval(estimate: Estimate) -> str:
    """Return an interval; a metric that came without items has none."""
    return f"{estimate.low:.4f} to {estimate.high:.4f}" if estimate.n else NO_ITEMS


def _show_worst_classes(scores: SuiteScores) -> None:
    from tasks.tracking.scorecard.classes import worst_classes

    rows = [
        [
            c.label,
            f"{c.f1:.3f}",
            f"{c.precision:.3f}",
            f"{c.recall:.3f}",
            f"{c.support:,}",
            f"{c.said:,}",
        ]
        for c in worst_classes(scores)
    ]
    if rows:
        print_table(
            f"worst classes of {scores.suite}",
            ["class", "F1", "precision", "recall", "in gold", "said"],
            rows,
        )


def show_run(found: RunReport) -> None:
    """Show the scorecard of a run and its gates."""
    from tasks.tracking.scorecard.notes import caveats

    base, candidate = found.metrics["base"], found.metrics["candidate"]
    print_table(
        f"scorecard {found.name}",
        ["metric", "base", "candidate", "95 % interval"],
        [[m, f"{base[m].value:.4f}", f"{c.value:.4f}", _interval(c)] for m, c in candidate.items()],
    )
    print_table(
        "gates",
        ["metric", "rule", "verdict", "difference", "interval", "why"],
        [
            [
                g.metric,
                g.rule if g.against in (None, "base") else f"{g.rule} ({g.against})",
                g.verdict,
                f"{g.difference:+.4f}",
                f"{g.low:+.4f} to {g.high:+.4f}" if g.n else NO_ITEMS,
                g.reason,
            ]
            for g in found.gates
        ],
    )
    for line in caveats(found.gates):
        out.print(line, markup=False, soft_wrap=True)
    out.print(
        f"verdict {found.verdict} · run {found.run_id}\nscorecard {found.scorecard}",
        markup=False,
        soft_wrap=True,
    )


def show_runs(lines: Sequence[tuple[RunReport, Changes]]) -> None:
    """Show runs as a table: a line a run, the newest last."""
    rows = []
    for report, changes in lines:
        ended = time.strftime("%Y-%m-%d %H:%M", time.localtime(report.ended))
        gates = [f"{g.metric} {g.candidate:.3g}" for g in report.gates]
        told = [f"{path} {old or 'none'} → {new or 'none'}" for path, (old, new) in changes.items()]
        more = [f"and {len(told) - MOST_CHANGES} more"] if len(told) > MOST_CHANGES else []
        rows.append(
            [
                report.run_id[:8],
                ended if report.ended else "",
                report.name,
                report.verdict,
                "\n".join(gates),
                "\n".join([*told[:MOST_CHANGES], *more]),
            ]
        )
    print_table(
        "runs", ["run", "ended", "name", "verdict", "gates", "changed since the run before"], rows
    )


def show_schema(pages: Sequence["SectionPage"]) -> None:
    """Show the keys of a section, a table for each kind it may be of."""
    for page in pages:
        title = ", ".join(filter(None, [page.path or "recipe", page.kind]))
        out.print(f"{title}: {page.says}", markup=False, soft_wrap=True)
        rows = [
            [k.name, k.type, "required" if k.default is None else k.default, k.description]
            for k in page.keys
        ]
        print_table("", ["key", "takes", "default", ""], rows)


def show_draft(place: Path, saw: str, notes: Sequence[str]) -> None:
    """Show what was seen of the data, and what to type next."""
    out.print(f"{saw}", markup=False, soft_wrap=True)
    for note in notes:
        out.print(f"note: {note}", markup=False, soft_wrap=True)
    out.print(
        f"wrote {place}\n"
        f"next: temper check {place}   which rows are bad, and why\n"
        f"      temper plan {place}    what would be trained on\n"
        f"      temper run {place}     the whole job",
        markup=False,
        soft_wrap=True,
    )


def show_sweep(found: "SweepReport") -> None:
    """Show the arms of a sweep beside each other, and which one to take."""
    card = found.card
    base = card.base
    rows = [
        ["base", "", *_metrics(base[card.domain], base[card.retention or card.domain]), "", "", ""]
    ]
    for line in card.lines:
        gap = "best" if line.gap is None else f"{line.gap.value:+.3f}"
        mark = "*" if line.arm == card.recommendation.arm else ""
        rows.append(
            [
                f"{line.arm}{mark}",
                f"{1 - line.domain_share:.0%}",
                *_metrics(line.domain, line.retention or line.domain),
                gap,
                line.holds,
                f"{line.tokens:,}",
            ]
        )
    print_table(
        f"sweep of {card.name}, dev items",
        ["arm", "general", card.domain, card.retention or "", "gap", "holds", "tokens"],
        rows,
    )
    for one in card.outcomes:
        if one.state != "done":
            out.print(f"{one.arm}, seed {one.seed}: {one.state}: {one.reason}", markup=False)
    found_arm = card.recommendation.arm
    out.print(f"take {found_arm}" if found_arm else "no arm is recommended", markup=False)
    for sentence in (*card.recommendation.reasons, *card.recommendation.changes):
        out.print(f"  {sentence}", markup=False, soft_wrap=True)
    told = f"verdict {found.verdict} on test items" if card.verdict else "not confirmed"
    more = f"\nrecipe {found.recommended}" if found.recommended else ""
    out.print(f"{told} · run {found.run_id}\npage {found.page}{more}", markup=False, soft_wrap=True)


def _metrics(domain: Estimate, retention: Estimate) -> list[str]:
    return [f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in (domain, retention)]


def show_comparison(found: "Comparison") -> None:
    """Show two runs beside each other."""
    rows = [
        [
            r.metric,
            f"{r.a:.4f}",
            f"{r.b:.4f}",
            f"{r.difference:+.4f}",
            f"{r.low:+.4f} to {r.high:+.4f}",
            f"{r.n:,}",
            "" if r.to_wrong is None else f"{r.to_right:,} / {r.to_wrong:,}",
        ]
        for r in found.metrics
    ]
    print_table(
        "b against a", ["metric", "a", "b", "difference", "95 % interval", "n", "won / lost"], rows
    )
    worst = [s for s in found.slices if s.worse][:MOST_SLICES]
    if worst:
        print_table(
            "where b is worse (exploratory; p adjusted for all slices)",
            ["metric", "part", "n", "a", "b", "difference", "adjusted p"],
            [
                [
                    s.metric,
                    s.name,
                    f"{s.n:,}",
                    f"{s.first:.4f}",
                    f"{s.second:.4f}",
                    f"{s.difference:+.4f}",
                    f"{s.adjusted:.3f}",
                ]
                for s in worst
            ],
        )
    if found.flips:
        print_table(
            "examples",
            ["item", "asked", "b", "right", "a said", "b said"],
            [
                [
                    f"{f.suite} {f.item_id[:8]}",
                    " ".join((f.prompt or "").split())[-80:],
                    "lost" if f.lost else "won",
                    f.gold or "",
                    _answer_text(f.first),
                    _answer_text(f.second),
                ]
                for f in found.flips
            ],
        )
    for suite in found.unmatched:
        out.print(f"only one of the two has suite {suite}", markup=False)


def _answer_text(answer: Any) -> str:
    said = answer.output if answer.output is not None else answer.prediction
    return " ".join((said or "(nothing)").split())[:80]


def show_judgement(summary: str) -> None:
    """Show the gates' table as Markdown."""
    out.print(summary, markup=False, highlight=False, soft_wrap=True)


def show_promotion(found: "Promotion") -> None:
    """Show what a promotion did."""
    release, before = found.release, found.before
    out.print(
        f"{release.name} version {release.version} is the champion: weights "
        f"{release.weights[:12]} of run {release.run_id}",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"before: {f'version {before.version}' if before else 'none'}", markup=False)
    if found.waiver:
        out.print(f"let through with verdict {found.verdict}: {found.waiver}", markup=False)


def show_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Show what a command made, a line a fact; what is absent is left out."""
    out.print(title, markup=False, highlight=False)
    for name, value in facts.items():
        if value is not None:
            text = f"{value:,}" if isinstance(value, int) else str(value)
            out.print(f"  {name.replace('_', ' ')}: {text}", markup=False, soft_wrap=True)


def show_mixture(found: MixtureReceipt, folder: Path) -> None:
    """Show what a mixture holds, and where it is."""
    out.print(
        f"mixture {found.digest[:12]}: {found.rows:,} rows, {found.tokens:,} tokens, "
        f"{found.supervised_tokens:,} of them supervised, in {len(found.shards):,} shards",
        markup=False,
        soft_wrap=True,
    )
    out.print(f"sources: {', '.join(found.sources)}", markup=False, soft_wrap=True)
    out.print(f"lock: {folder / found.lock.name}", markup=False, soft_wrap=True)


def show_reproduction(found: "Reproduction") -> None:
    """Show whether a mixture made again is the same, and what has changed."""
    if found.same:
        text = f"the same mixture: {found.digest}"
    else:
        text = f"not the same mixture: {found.wanted[:12]} then, {found.digest[:12] or 'none'} now"
    out.print(text, markup=False, soft_wrap=True)
    for line in found.changed:
        out.print(f"  {line}", markup=False, soft_wrap=True)


def show_export(found: "Export") -> None:
    """Show what was exported."""
    out.print(
        f"{found.rows:,} rows in format {found.format}: {found.path}", markup=False, soft_wrap=True
    )
    for reason, rows in sorted(found.left_out.items()):
        out.print(f"left out: {rows:,} rows ({reason}), named in left-out.jsonl", markup=False)


def show_trace(found: "Trace") -> None:
    """Show where a row was found."""
    print_table(
        "trace",
        ["holds it", "name", "where in it", "rows", "folder"],
        [[h.stage, h.name, h.place[:12], f"{h.count:,}", str(h.path)] for h in found.holdings],
    )
    if not found.holdings:
        out.print("Nothing stored here says exactly this; --contains finds longer rows, too.")
    for path in found.unknown:
        out.print(f"can't be told, its mixture is gone: {path}", markup=False, soft_wrap=True)


def show_why(found: "Explanation") -> None:
    """Show what became of a row."""
    from tasks.lineage.why import describe_outcome

    for outcome in found.outcomes:
        first, *lines = describe_outcome(outcome)
        out.print(first, markup=False, soft_wrap=True)
        for line in lines:
            out.print(f"  {line}", markup=False, soft_wrap=True)
    if not found.found:
        out.print("Nothing stored here says exactly this; --contains finds longer rows, too.")


def show_checks(found: Sequence[Check]) -> None:
    """Show what the doctor found."""
    print_table(
        "doctor",
        ["what", "state", "found", "mend it with"],
        [[c.name, c.state, c.detail, c.fix] for c in found],
    )
