"""Runs the demonstration and checks that it shows what it claims."""

import time
from collections.abc import Mapping

from configs.loading import load_recipe
from configs.recipe import Recipe
from flows.cli.terminal import (
    err,
    out,
    print_failure,
    print_table,
    quiet_libraries,
    show_progress,
)
from flows.demo.voc import write_reviews
from flows.report import Metrics, RunReport
from tasks.storage import home

ARMS: Mapping[str, tuple[str, ...]] = {
    "domain only": ("name=voc-domain-only", "mixture.domain_share=1.0"),
    "mixed": (),
}
COLUMNS: Mapping[str, str] = {
    "domain macro-F1": "voc/macro_f1",
    "MMLU letters": "mmlu/accuracy",
    "letter mass": "mmlu/letter_mass",
    "gold log-prob": "mmlu/gold_logprob",
    "MMLU cloze": "mmlu/cloze_accuracy",
    "bits per byte": "encyclopaedia/bits_per_byte",
}
RETENTION = "encyclopaedia/bits_per_byte"


def main() -> int:
    """Run both arms, print them beside the base, and return 0 if the verdicts are as claimed."""
    started = time.monotonic()
    quiet_libraries()
    try:
        with show_progress(quiet=False):
            reports = {arm: _run(arm) for arm in ARMS}
    except Exception as error:
        return print_failure(error, as_json=False)
    show_arms(reports)
    wrong = list_surprises(reports)
    for line in wrong:
        err.print(line, markup=False)
    out.print(
        f"{time.monotonic() - started:.0f} s. Open it with:  .venv/bin/mlflow ui "
        f"--backend-store-uri sqlite:///{home('mlflow.db')}",
        markup=False,
        soft_wrap=True,
    )
    return 1 if wrong else 0


def make_recipe(arm: str) -> Recipe:
    """Return the recipe of an arm: both differ in the domain's share and in name alone."""
    reviews = home("demo", "voc.jsonl")
    return load_recipe("voc", [f"sources.voc.path={reviews}", *ARMS[arm]])


def _run(arm: str) -> RunReport:
    from flows.finetune import finetune
    from flows.run_task import run_flow

    reviews = home("demo", "voc.jsonl")
    if not reviews.is_file():
        reviews.parent.mkdir(parents=True, exist_ok=True)
        write_reviews(reviews)
    err.print(f"[bold]{arm}[/bold]")
    return run_flow(finetune, make_recipe(arm))


def show_arms(reports: Mapping[str, RunReport]) -> None:
    """Print base, domain only and mixed side by side, with the gates' verdicts."""
    base = next(iter(reports.values())).metrics["base"]
    rows = [_row("base", base, "")]
    rows += [_row(arm, r.metrics["candidate"], r.verdict) for arm, r in reports.items()]
    out.print(
        "\nSynthetic customer reviews (64 categories in four levels), SmolLM2-135M-Instruct, "
        "test items",
        markup=False,
    )
    print_table("", ["model", *COLUMNS, "verdict"], rows)
    for arm, report in reports.items():
        for gate in report.gates:
            out.print(
                f"{arm}: {gate.metric} {gate.rule} {gate.verdict} "
                f"({gate.difference:+.3f}, {gate.low:+.3f} to {gate.high:+.3f})",
                markup=False,
                soft_wrap=True,
            )
        out.print(f"{arm}: scorecard {report.scorecard}", markup=False, soft_wrap=True)
    out.print(
        "At this size forgetting is first one of format and of calibration: the letters of "
        "MMLU never occur in the rehearsal data.",
        markup=False,
    )


def _row(name: str, metrics: Metrics, verdict: str) -> list[str]:
    return [name, *[f"{metrics[m].value:.3f}" for m in COLUMNS.values()], verdict]


def list_surprises(reports: Mapping[str, RunReport]) -> list[str]:
    """Return what did not come out as claimed: retention lost without mixing, kept with it."""
    alone = next(g for g in reports["domain only"].gates if g.metric == RETENTION)
    lines = []
    if alone.verdict != "FAIL":
        lines.append("unexpected: training on the domain alone did not fail the retention gate.")
    if any(g.verdict == "FAIL" for g in reports["mixed"].gates if g.rule == "hold"):
        lines.append("unexpected: the mixture failed a retention gate.")
    if any(g.verdict != "PASS" for r in reports.values() for g in r.gates if g.rule == "improve"):
        lines.append("unexpected: an arm did not improve domain macro-F1 by what the gate asks.")
    return lines
