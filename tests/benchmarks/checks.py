"""All checks over a million rows: chat rows by default, plain text with the rules for prose."""

import json
import os
import tempfile
import time
from pathlib import Path

from pair import Limit
from rules import texts

ROWS = 1_000_000


def _write(folder: Path) -> None:
    with (folder / "chat.jsonl").open("w") as chat, (folder / "text.jsonl").open("w") as plain:
        for text in texts(ROWS):
            cut = text.find(". ", len(text) // 2) + 1 or len(text) * 2 // 3
            row = {"prompt": text[:cut], "completion": text[cut:].strip() or "Yes."}
            chat.write(json.dumps(row) + "\n")
            plain.write(json.dumps({"text": text}) + "\n")


def _checked(folder: Path, name: str) -> float:
    """Return the seconds that the checks of one file take once it is ingested."""
    from configs.quality import NearDuplicates, Quality
    from configs.sources import FilesSource
    from tasks.ingest.stage import make_snapshot
    from tasks.quality.cross_source import drop_duplicates
    from tasks.quality.stage import clean_source

    path = str(folder / f"{name}.jsonl")
    source = FilesSource(name=name, role="domain", kind="files", path=path)
    snapshot, quality = (
        make_snapshot(source),
        Quality(near_duplicates=NearDuplicates(), max_quarantine=1),
    )
    began = time.perf_counter()
    drop_duplicates([clean_source(snapshot, source, quality, 17)], quality)
    return time.perf_counter() - began


def checks() -> Limit:
    """Check a million rows of 0.4 kB twice, near-duplicates included."""

    def figures() -> dict[str, float]:
        with tempfile.TemporaryDirectory(prefix="bench-checks-") as name:
            folder, before = Path(name), os.environ.get("TEMPER_HOME")
            _write(folder)
            os.environ["TEMPER_HOME"] = str(folder / "home")
            try:
                taken = {f"s, {kind} rows": _checked(folder, kind) for kind in ("chat", "text")}
            finally:
                os.environ.pop("TEMPER_HOME")
                os.environ |= {"TEMPER_HOME": before} if before else {}
        return taken | {"s, the slower": max(taken.values())}

    return Limit(f"all checks of {ROWS:,} rows of 0.4 kB", figures, "s, the slower", 600)
