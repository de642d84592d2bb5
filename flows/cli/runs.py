"""``temper list`` and ``temper show``: the runs that are on this machine."""

from functools import partial
from typing import Annotated

import typer

from flows.cli import render
from flows.cli.app import Answer, command
from flows.report import Changes, RunReport, find_changes, find_report, list_reports


@command("list")
def list_runs(
    last: Annotated[int, typer.Option(help="so many of the newest")] = 20,
) -> Answer:
    """List the runs of this machine: verdict, what the gates saw, and what changed since."""
    before: dict[str, RunReport] = {}
    lines: list[tuple[RunReport, Changes]] = []
    for report in list_reports():
        earlier = before.get(report.registered_name)
        changes = find_changes(earlier, report) if earlier and earlier.settings else {}
        lines.append((report, changes))
        before[report.registered_name] = report
    shown = lines[-last:] if last > 0 else lines
    fields = {"run_id", "name", "verdict", "ended"}
    found = [
        {
            **report.model_dump(mode="json", include=fields),
            "gates": [{"metric": g.metric, "verdict": g.verdict} for g in report.gates],
            "changes": changes,
        }
        for report, changes in shown
    ]
    return Answer({"runs": found}, partial(render.show_runs, shown))


@command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="a run: its id, the beginning of one, or its folder")],
    markdown: Annotated[
        bool, typer.Option("--markdown", help="a summary for a pull request")
    ] = False,
) -> Answer:
    """Show a run again: its metrics, gates and verdict."""
    report = find_report(run)
    fields = ("run_id", "name", "verdict", "gates", "metrics", "scorecard", "checkpoint", "lock")
    found = {k: report.model_dump(mode="json")[k] for k in fields}
    if markdown:
        text = summarise_run(report)
        return Answer({**found, "markdown": text}, partial(print, text))
    return Answer(found, partial(render.show_run, report))


def summarise_run(report: RunReport) -> str:
    """Return a run as Markdown: the gates first, then every metric of base and candidate."""
    from tasks.pages.markdown import table
    from tasks.tracking.scorecard.notes import gates_markdown

    base, candidate = report.metrics["base"], report.metrics["candidate"]
    rows = [
        [
            name,
            f"{base[name].value:.4g}" if name in base else None,
            f"{e.value:.4g}",
            f"{e.low:.4g} to {e.high:.4g}" if e.n else None,
        ]
        for name, e in candidate.items()
    ]
    metrics = table(["metric", "base", "candidate", "95 % interval"], rows)
    gates = gates_markdown(report.verdict, report.gates)
    return f"## {report.name}\n\n{gates}\n\n{metrics}\n\nRun `{report.run_id}`\n"
