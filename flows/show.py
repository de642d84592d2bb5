"""Answers as people read them: tables on stdout, progress and errors on stderr."""

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from flows.commands import Answer
from tasks.errors import TemperError
from tasks.progress import listening

# A pipe has no width of its own; 80 columns would fold the tables.
out = Console(width=None if sys.stdout.isatty() else 128)
err = Console(stderr=True)
NO_ITEMS = "none (no items)"
MOST_SLICES = 10
COLOURS = {
    "PASS": "green",
    "FAIL": "red",
    "INCONCLUSIVE": "yellow",
    "pass": "green",
    "quarantine": "yellow",
    "block": "red",
    "ok": "green",
    "optional": "yellow",
    "missing": "red",
    "warn": "yellow",
    "refused": "red",
    "unknown": "yellow",
}


def answer(command: str, found: Answer, as_json: bool) -> None:
    """Print an answer, as one JSON object or as tables."""
    if as_json:
        print(json.dumps(found.json, default=str))
        return
    views: dict[str, Callable[[Any], None]] = {
        "run": _run,
        "plan": _plan,
        "check": _check,
        "show_suite": _show_suite,
        "compare": _compare,
        "doctor": _doctor,
        "evaluate": _evaluate,
        "import_samples": _evaluate,
        "export": _export,
        "trace": _trace,
        "preflight": _preflight,
        "told": _told,
        "promote": _promote,
    }
    view = found.view or command
    views.get(view, lambda _: out.print_json(json.dumps(found.json, default=str)))(found.shown)


def failure(error: Exception, as_json: bool) -> int:
    """Print a failure and return the exit code: expected ones as one paragraph."""
    known = (
        error if isinstance(error, TemperError) else TemperError(f"{type(error).__name__}: {error}")
    )
    if not isinstance(error, TemperError):
        traceback.print_exception(error, file=sys.stderr)
    if as_json:
        print(json.dumps({"error": known.as_dict()}))
    else:
        err.print(f"[red]error[/red] ({known.kind}) ", end="", markup=True, highlight=False)
        err.print(known.paragraph(), markup=False, highlight=False, soft_wrap=True)
    return known.exit_code


def quiet_libraries() -> None:
    """Silence what libraries print, for a person at a terminal; must run before they load.

    Failures are not lost: an expected one is printed as a paragraph, any other with its traceback.
    """
    for name, value in (  # The console only: in the Prefect UI a run keeps its logs.
        ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL"),
        ("TRANSFORMERS_VERBOSITY", "error"),
        # MLflow greets on stdout, where --json promises one object.
        ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
        ("HF_HUB_DISABLE_PROGRESS_BARS", "1"),
        ("HF_DATASETS_DISABLE_PROGRESS_BARS", "1"),
    ):
        os.environ.setdefault(name, value)


@contextlib.contextmanager
def progress(quiet: bool) -> Iterator[None]:
    """Show bars with the time left for everything that reports progress."""
    if quiet or not err.is_terminal:
        yield
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
    known: dict[str, TaskID] = {}

    def listen(what: str, done: int, total: int) -> None:
        if what not in known:
            known[what] = bars.add_task(what, total=total)
        bars.update(known[what], completed=done, total=total)

    with bars, listening(listen):
        yield


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; cells that are a verdict are coloured, nothing else is interpreted."""
    grid = Table(title=title, title_justify="left", header_style="bold")
    for i, column in enumerate(columns):
        grid.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*[_cell(c) for c in row])
    out.print(grid)


def _cell(text: str) -> str:
    from rich.markup import escape

    colour = COLOURS.get(text)
    return f"[{colour}]{text}[/{colour}]" if colour else escape(text)


def _told(found: Any) -> None:
    """Show a dry run, or a plan for Nova: the table, what was looked at, the request as it is."""
    _plan(found.table)
    if found.found is not None:
        _preflight(found.found)
    out.print("the request:", markup=False)
    out.print_json(json.dumps(found.request, default=str))


def _preflight(found: Any) -> None:
    rows = [[look.name, look.state, look.says, look.fix] for look in found.looks]
    table(f"preflight: {found.backend}", ["look", "state", "says", "fix"], rows)


def _plan(found: Any) -> None:
    from tasks.mixture.table import cells, notes

    table(
        f"plan {found.digest[:12]}: {found.total:,} {found.unit}",
        ["source", "role", "weight", "share", "rows", "tokens", "supervised", "epochs", "got"],
        [cells(line, found.unit) for line in found.sources],
    )
    for line in notes(found):
        out.print(line, markup=False)


def _show_suite(found: Any) -> None:
    table("suite", ["about", "expected", "severity"], found)


def _check(found: Any) -> None:
    rows = [
        [
            c.name,
            c.verdict,
            f"{c.rows_in:,}",
            f"{c.rows_out:,}",
            ", ".join(f"{k} {v}" for k, v in c.findings.items() if v) or "none",
        ]
        for c in found
    ]
    table("quality", ["source", "verdict", "rows in", "rows out", "findings"], rows)
    for clean in found:
        if clean.reason:
            out.print(f"{clean.name}: {clean.reason}", markup=False)
        out.print(f"page: {clean.path / 'page.html'}", markup=False, soft_wrap=True)


def _evaluate(found: Any) -> None:
    from tasks.tracking.scorecard.notes import notes

    table(
        "scores",
        ["metric", "value", "95 % interval", "n"],
        [
            [f"{s.suite}/{m}", f"{e.value:.4f}", _between(e), f"{e.n:,}"]
            for s in found
            for m, e in s.metrics.items()
        ],
    )
    for scores in found:
        _worst_classes(scores)
    for scores in found:
        for note in notes(scores):
            out.print(f"{scores.suite}: {note}", markup=False, soft_wrap=True)


def _between(estimate: Any) -> str:
    """Return an interval; a metric that came without items has none."""
    return f"{estimate.low:.4f} to {estimate.high:.4f}" if estimate.n else NO_ITEMS


def _worst_classes(scores: Any) -> None:
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
        table(
            f"worst classes of {scores.suite}",
            ["class", "F1", "precision", "recall", "in gold", "said"],
            rows,
        )


def _run(found: Any) -> None:
    base, candidate = found.metrics["base"], found.metrics["candidate"]
    table(
        f"scorecard {found.name}",
        ["metric", "base", "candidate", "95 % interval"],
        [[m, f"{base[m].value:.4f}", f"{c.value:.4f}", _between(c)] for m, c in candidate.items()],
    )
    table(
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
    for suite, seen in sorted({(g.metric.partition("/")[0], g.seen) for g in found.gates}):
        if seen > 1:
            out.print(
                f"{suite}: {seen} candidates of this family of recipes were judged on its "
                "test items",
                markup=False,
            )
    out.print(
        f"verdict {found.verdict} · run {found.run_id}\nscorecard {found.scorecard}",
        markup=False,
        soft_wrap=True,
    )


def _compare(found: Any) -> None:
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
    table(
        "b against a", ["metric", "a", "b", "difference", "95 % interval", "n", "won / lost"], rows
    )
    worst = [s for s in found.slices if s.worse][:MOST_SLICES]
    if worst:
        table(
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
        table(
            "examples",
            ["item", "b", "right", "a said", "b said"],
            [
                [
                    f"{f.suite} {f.item_id[:8]}",
                    "lost" if f.lost else "won",
                    f.gold or "",
                    _said(f.first),
                    _said(f.second),
                ]
                for f in found.flips
            ],
        )
    for suite in found.unmatched:
        out.print(f"only one of the two has suite {suite}", markup=False)


def _said(answer: Any) -> str:
    said = answer.output if answer.output is not None else answer.prediction
    return " ".join((said or "(nothing)").split())[:80]


def _promote(found: Any) -> None:
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


def _export(found: Any) -> None:
    out.print(
        f"{found.rows:,} rows in format {found.format}: {found.path}", markup=False, soft_wrap=True
    )
    for reason, rows in sorted(found.left_out.items()):
        out.print(f"left out: {rows:,} rows ({reason}), named in left-out.jsonl", markup=False)


def _trace(found: Any) -> None:
    table(
        "trace",
        ["holds it", "name", "where in it", "rows", "folder"],
        [[h.stage, h.name, h.place[:12], f"{h.count:,}", str(h.path)] for h in found.holdings],
    )
    if not found.holdings:
        out.print("Nothing stored here says exactly this; --contains finds longer rows, too.")
    for path in found.unknown:
        out.print(f"can't be told, its mixture is gone: {path}", markup=False, soft_wrap=True)


def _doctor(found: Any) -> None:
    table(
        "doctor",
        ["what", "state", "found", "mend it with"],
        [[c.name, c.state, c.detail, c.fix] for c in found],
    )
