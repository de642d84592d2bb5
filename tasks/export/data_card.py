"""A mixture's data card: what is in it and where that is from, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.pages.markdown import listed, table

Lock = Mapping[str, Any]


def make_data_card(lock: Lock, form: str, rows: int, left_out: Mapping[str, int]) -> str:
    """Return the card of an exported mixture.

    Args:
        lock: ``mixture.lock.json``.
        form: The export's format.
        rows: Rows written.
        left_out: Reason -> rows that the format can't hold.
    """
    sources: list[Lock] = lock["sources"]
    parts = [
        f"# Training mixture {lock['mixture_digest'][:12]}",
        describe_use(lock),
        "## Sources",
        _table_sources(sources),
        "## Shares",
        _table_shares(sources, lock["unit"]),
        "## What was left out",
        _table_filters(sources),
        *_describe_rewriting(sources),
        "## This export",
        _describe_export(form, rows, left_out),
        "## Digests",
        _table_digests(lock),
    ]
    return "\n\n".join(parts) + "\n"


def describe_use(lock: Lock) -> str:
    """Return what the mixture is for and what it is not for, as one paragraph."""
    names = {
        role: [s["name"] for s in lock["sources"] if s["role"] == role]
        for role in ("domain", "general")
    }
    text = (
        "For supervised fine-tuning of a language model, with loss on the assistant's turns: "
        f"{listed(names['domain'])} to specialise it"
    )
    if names["general"]:
        text += f", {listed(names['general'])} so that it keeps what it knew"
    suites = lock["mixture"]["exclude_overlap_with"]
    known = "rows that overlap with tests are not left out"
    if suites:
        known = f"only rows that overlap with items of {listed(suites)} are left out"
    return f"{text}. Not for evaluation: {known}."


def list_licences(lock: Lock) -> list[str]:
    """Return the licences of the sources, each once; ``unknown`` where none is given."""
    return sorted({s["licence"] or "unknown" for s in lock["sources"]})


def _table_sources(sources: Sequence[Lock]) -> str:
    head = ["source", "role", "category", "licence", "from", "revision", "digest"]
    return table(
        head,
        [
            [
                s["name"],
                s["role"],
                s["category"],
                s["licence"] or "unknown",
                s["uri"],
                s["revision"],
                s["clean_digest"][:12],
            ]
            for s in sources
        ],
    )


def _table_shares(sources: Sequence[Lock], unit: str) -> str:
    head = [
        "source",
        "weight",
        f"share of {unit} asked",
        "got",
        "rows",
        "tokens",
        "supervised tokens",
        "epochs",
    ]
    return table(
        head,
        [
            [
                s["name"],
                f"{s['weight']:g}",
                f"{s['share']:.4f}",
                f"{s['share_got'][unit]:.4f}",
                f"{s['rows']:,}",
                f"{s['tokens']:,}",
                f"{s['supervised_tokens']:,}",
                f"{s['epochs']:.2f}",
            ]
            for s in sources
        ],
    )


def _table_filters(sources: Sequence[Lock]) -> str:
    lines = []
    for source in sources:
        found = {**source["findings"], **source["left_out"]}
        counts = ", ".join(f"{name} {count:,}" for name, count in found.items() if count)
        lines.append(
            [
                source["name"],
                f"{source['rows_in']:,}",
                counts or "none",
                f"{source['rows_available']:,}",
            ]
        )
    head = ["source", "rows in", "found or left out, by reason", "rows to draw from"]
    return table(head, lines) + (
        "\n\nRows may be found for several reasons; development and test rows are not drawn from."
    )


def _describe_rewriting(sources: Sequence[Lock]) -> list[str]:
    """Return what was said anew by the base model, where anything was."""
    steps = [
        (s["name"], step["settings"])
        for s in sources
        for step in s.get("filters", ())
        if step["name"] == "rewriting"
    ]
    lines = [[name, f"{told['targets']:,}", f"{told['rewritten']:,}"] for name, told in steps]
    if not lines:
        return []
    return [
        "## Rewritten targets",
        "The base model wrote these anew, each checked against the "
        "target it was shown; the others stayed.",
        table(["source", "targets", "rewritten"], lines),
    ]


def _describe_export(form: str, rows: int, left_out: Mapping[str, int]) -> str:
    text = f"{rows:,} rows in plan order, format `{form}`."
    if left_out:
        counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(left_out.items()))
        text += f" The format can't hold {sum(left_out.values()):,} more ({counts}); each is named."
    return text


def _table_digests(lock: Lock) -> str:
    names = ("mixture_digest", "plan_digest", "code_digest", "tokenizer_digest", "seed")
    return table(["what", "value"], [[name, lock[name]] for name in names])
