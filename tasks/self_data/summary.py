"""What is said of a source whose targets are rewritten, before and after."""

from tasks.artifacts import CleanSource
from tasks.self_data.rewriting import FILTER, read_labels

NOTHING = (
    "rewrite does nothing here: the targets are labels, which stay as they are. Leave it out, or "
    "try rehearsal, blend or kl_to_base."
)
AHEAD = "targets to be rewritten by the base; sizes are of the targets as they are"


def describe_plan(clean: CleanSource) -> str:
    """Return what a plan says of a source whose targets are to be rewritten."""
    labels = read_labels(clean)
    return NOTHING if labels and _are_all_labels(clean, labels) else AHEAD


def describe_result(clean: CleanSource) -> str:
    """Return how many targets were rewritten, and why the others stayed, as Markdown."""
    [found] = [f.settings for f in clean.filters if f.name == FILTER]
    head = (
        f"{found['rewritten']:,} of {found['targets']:,} targets of {clean.name} "
        f"({found['share']:.1%}) are in the base's own words."
    )
    rows = [f"| {reason} | {count:,} |" for reason, count in found["stayed"].items()]
    if not rows:
        return head
    return "\n".join([head, "", "| why a target stayed | targets |", "| --- | --- |", *rows])


def _are_all_labels(clean: CleanSource, labels: frozenset[str]) -> bool:
    import pyarrow.parquet as pq

    from tasks.self_data.targets import LABEL, find_targets

    rows = pq.read_table(clean.split("train")).to_pylist()
    return all(target.kept == LABEL for target in find_targets(rows, labels))
