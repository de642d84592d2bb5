"""The golden net: what may not change, whatever becomes of the code inside.

Everything is asked at the public door, the command line in a process of its own, and read from the
files that its answers name. No module, function or class is named here but the command line's
entry, so the net outlives every renaming.

Beside this file: ``data`` and ``recipes``, which are asked about, and ``recorded``, what was
answered. All that is recorded has to come out again, exactly: a key too many is a difference like
a key that is missing. Where an answer is meant to change, record anew and read the difference::

    TEMPER_RECORD_GOLDEN=1 pytest -n 0 tests/golden
    git diff tests/golden/recorded      # only what was meant to change may be there
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TINY = ROOT / "tests" / "flows" / "tiny"
RECORD = bool(os.environ.get("TEMPER_RECORD_GOLDEN"))

# The command line, once a line of stdin; each answer ends with a line of NUL and the exit code.
PROGRAM = """
import json, sys
from flows.cli import main
for line in sys.stdin:
    sys.argv, code = ["temper", *json.loads(line)], 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    print(f"\\0{code}", flush=True)
"""

# Folders and files under TEMPER_HOME are called by their keys, which the code's digest is part of.
KEY = re.compile(r"(?<=[/-])[0-9a-f]{12,64}(-\d+)?(?=[/\"]|$)", re.MULTILINE)
# The second run keeps half of what the first one learnt, and has a gate of every rule.
GATES = (
    "[{metric: mmlu/accuracy, rule: floor, at: 0.01},"
    " {metric: mmlu/accuracy, rule: floor, at: 0.9},"
    " {metric: reviews/invalid_rate, rule: hold, margin: 0.5, on_inconclusive: warn},"
    " {metric: mmlu/cloze_gold_logprob, rule: improve, by: 1.0},"
    " {metric: mmlu/gold_logprob, rule: hold, margin: 1.0}]"
)
# Floats that come from torch: the last digits depend on the machine's instructions and threads.
TOLERANCE = 1e-6
# Of the recorded files.
WIDTH = 160


class Session:
    """``temper`` in a process and a folder of its own, one command after the other.

    Attributes:
        folder: The working directory. Recipes name model and data by paths from here, so that
            they are the same on every machine.
    """

    def __init__(self, place: Path, model: Path) -> None:
        self.folder, self._home = place / "work", place / "home"
        self._names: dict[str, str] = {}
        self.name(str(self._home), "HOME")
        self.name(str(self.folder), "WORK")
        self._lay_out(model)
        own = ("TEMPER_", "MLFLOW_TRACKING_URI", "PREFECT_API_URL")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(own)}
        self._errors = (place / "stderr").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            cwd=self.folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=kept
            | {
                "TEMPER_HOME": str(self._home),
                "PREFECT_HOME": str(self._home / "prefect"),
                "PREFECT_LOGGING_LEVEL": "WARNING",
                "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "900",
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
            },
        )

    def _lay_out(self, model: Path) -> None:
        shutil.copytree(model, self.folder / "model")
        shutil.copytree(TINY, self.folder / "tiny")
        for path in (HERE / "data").rglob("*.jsonl"):
            copy = self.folder / "data" / path.relative_to(HERE / "data")
            copy.parent.mkdir(parents=True, exist_ok=True)
            # Keys and passwords are cut in two in the repository, where some would believe them.
            copy.write_bytes(path.read_bytes().replace(b"<cut>", b""))
        for path in (HERE / "recipes").glob("*.yaml"):
            shutil.copy(path, self.folder)
        text = (TINY / "recipe.yaml").read_text()
        text = text.replace("TINY_MODEL", "model").replace("TINY_DATA", "tiny")
        (self.folder / "tiny.yaml").write_text(text)

    def name(self, value: str, label: str) -> None:
        """Have a value that is another one each time recorded by a label, wherever it stands."""
        self._names[value] = label

    def say(self, *words: str) -> tuple[int, str]:
        """Run one command; return its exit code and what it printed on stdout."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if line.startswith("\0"):
                return int(line[1:]), "".join(lines)
            lines.append(line)
        self._errors.seek(0)
        pytest.fail(f"temper {' '.join(words)} ended the process:\n{self._errors.read()[-3000:]}")

    def ask(self, *words: str) -> Any:
        """Return the ``--json`` answer of a command, with its exit code; no failure is recorded."""
        code, out = self.say(*words, "--json")
        answer = json.loads(out)
        assert "error" not in answer, f"temper {' '.join(words)}: {answer['error']}"
        return {"exit_code": code, "answer": answer}

    def show(self, *words: str) -> list[str]:
        """Return what a person is shown, line by line, without blanks at their ends."""
        return [line.rstrip() for line in self.say(*words)[1].splitlines()]

    def normal(self, value: Any) -> Any:
        """Return a value with labels for what is another one on each machine or in each run."""
        text = json.dumps(value, ensure_ascii=False)
        for each in sorted(self._names, key=len, reverse=True):
            text = text.replace(each, self._names[each])
        return _without_keys(json.loads(text))

    def close(self) -> None:
        """End the process, and wait until it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=120)
        self._errors.close()


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: "SECONDS" if k == "seconds" else _without_keys(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_keys(v) for v in value]
    return KEY.sub("KEY", value) if isinstance(value, str) and "HOME/" in value else value


class _Words(HTMLParser):
    """The words of a page, without its style and its scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.found.append(" ".join(data.split()))


@pytest.fixture(scope="module")
def session(
    tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path, prefect_tables: Path
) -> Iterator[Session]:
    """One process for all that is asked here: what is slow to import is imported once."""
    place = tmp_path_factory.mktemp("golden")
    (place / "home" / "prefect").mkdir(parents=True)
    shutil.copy(prefect_tables, place / "home" / "prefect")
    opened = Session(place, tiny_model_folder)
    yield opened
    opened.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["supervised", "rows", "cpt", "dpo", "tiny"])
def test_a_recipe_gives_the_plan_the_rows_and_the_mixture_it_gave(
    session: Session, name: str
) -> None:
    recipe = f"{name}.yaml"
    found = {"plan": session.ask("plan", recipe), "check": session.ask("check", recipe)}
    found["plan_shown"] = session.show("plan", recipe)
    found["check_shown"] = session.show("check", recipe)
    found["set_aside"] = _set_aside(found["check"])
    found["mix"] = session.ask("mix", recipe, "--workers", "1")
    found["lock"] = json.loads(Path(found["mix"]["answer"]["lock"]).read_text())
    session.name(found["lock"]["code_digest"], "CODE")
    form = "text" if name == "cpt" else "openai"
    found["export"] = session.ask("export", recipe, "--format", form, "--out", f"{name}.out")
    found["card"] = (session.folder / f"{name}.out" / "data-card.md").read_text().splitlines()
    _compare(session, f"mixture-{name}", found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["faults", "strict"])
def test_the_rows_that_were_set_aside_are_for_the_reasons_they_were(
    session: Session, name: str
) -> None:
    found = {"check": session.ask("check", f"{name}.yaml")}
    found["check_shown"] = session.show("check", f"{name}.yaml")
    found["set_aside"] = _set_aside(found["check"])
    pages = [line for line in found["check_shown"] if line.startswith("page: ")]
    found["pages"] = [_words(Path(page.removeprefix("page: "))) for page in pages]
    _compare(session, f"quality-{name}", found)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_ends_as_it_did_and_so_does_what_follows_from_it(session: Session) -> None:
    found = {"run": session.ask("run", "tiny.yaml")}
    found["run_of_half"] = session.ask(
        "run", "tiny.yaml", "--set", "training.blend=0.5", "--set", f"gates={GATES}"
    )
    found["evaluate"] = session.ask("evaluate", "tiny.yaml")
    run, half = found["run"]["answer"], found["run_of_half"]["answer"]
    # The weights' digests are not the same on every machine: the last bits of what is drawn and
    # learnt depend on the instructions that torch finds. That it is these weights that an answer
    # is about is the same everywhere: they go by a label.
    session.name(found["evaluate"]["answer"]["weights_digest"], "BASE WEIGHTS")
    for label, one in (("FIRST", run), ("SECOND", half)):
        session.name(one["run_id"], f"{label} RUN")
        session.name(one["gates"][0]["candidate_digest"], f"{label} WEIGHTS")
    scorecard = json.loads(Path(run["scorecard"]).with_suffix(".json").read_text())
    # Its gates, metrics and mixture are those of the answer and of the lock.
    told_elsewhere = ("gates", "metrics", "mixture", "recipe_digest")
    found["scorecard"] = {k: v for k, v in scorecard.items() if k not in told_elsewhere}
    found["compare"] = session.ask("compare", run["run_id"], half["run_id"])
    found["items"] = {
        suite: _rows(Path(one["items"]), ["latency_s"])
        for suite, one in found["evaluate"]["answer"]["suites"].items()
    }
    found["reproduce"] = session.ask("reproduce", run["lock"])
    found["trace"] = session.ask("trace", "--row", "name the opposite of 'HOT'")
    found["trace_of_a_part"] = session.ask("trace", "--row", "lovely to use on", "--contains")
    _compare(session, "run-tiny", found, tolerance=TOLERANCE)


def test_the_net_is_fine_enough() -> None:
    recorded = json.loads((HERE / "recorded" / "mixture-rows.json").read_text())
    assert list(differences(recorded, deepcopy(recorded))) == []
    changed = deepcopy(recorded)
    changed["plan"]["answer"]["sources"][1]["share"] += 1e-12
    changed["set_aside"]["tickets"][0]["reasons"][0] += "s"
    changed["lock"]["sources"][0]["rows"] = float(changed["lock"]["sources"][0]["rows"])
    changed["mix"]["answer"]["more"] = None
    del changed["check"]["exit_code"]
    changed["card"].append("")
    places = [line.partition(":")[0] for line in differences(recorded, changed)]
    assert places == [
        "card",
        "check.exit_code",
        "lock.sources.0.rows",
        "mix.answer.more",
        "plan.answer.sources.1.share",
        "set_aside.tickets.0.reasons.0",
    ]
    changed = deepcopy(recorded)
    changed["plan"]["answer"]["sources"][1]["share"] += 1e-7
    assert list(differences(recorded, changed, tolerance=TOLERANCE)) == []
    changed["plan"]["answer"]["sources"][1]["share"] += 1e-5
    assert len(list(differences(recorded, changed, tolerance=TOLERANCE))) == 1


def _set_aside(check: Any) -> dict[str, Any]:
    """Return the rows of every quarantine that an answer of ``check`` names.

    Their texts are left out: the row's id is their digest.
    """
    texts = ("messages", "tools", "rejected", "reference")
    return {
        verdict["source"]: _rows(Path(verdict["quarantine"]), texts)
        for verdict in check["answer"]["verdicts"]
        if verdict["quarantine"]
    }


def _rows(path: Path, left_out: Collection[str]) -> Any:
    """Return the rows of a Parquet file as far as they say something."""
    return [
        {k: v for k, v in row.items() if v is not None and k not in left_out}
        for row in pq.read_table(path).to_pylist()
    ]


def _words(page: Path) -> list[str]:
    words = _Words()
    words.feed(page.read_text(encoding="utf-8"))
    return words.found


def _compare(session: Session, name: str, found: Any, tolerance: float = 0.0) -> None:
    path = HERE / "recorded" / f"{name}.json"
    normal = session.normal(found)
    if RECORD:
        path.write_text(_written(normal) + "\n", encoding="utf-8")
        pytest.skip(f"recorded anew: {path.name}")
    recorded = json.loads(path.read_text(encoding="utf-8"))
    lines = list(differences(recorded, normal, tolerance=tolerance))
    assert not lines, f"{len(lines)} differences from {path.name}:\n" + "\n".join(lines[:40])


def _written(value: Any, indent: str = "") -> str:
    """Return a value as JSON, each part that fits on a line, so that differences read well."""
    line = json.dumps(value, sort_keys=True, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(indent + line) <= WIDTH:
        return line
    inner = indent + " "
    if isinstance(value, list):
        parts = [inner + _written(v, inner) for v in value]
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    parts = [f"{inner}{json.dumps(k)}: {_written(value[k], inner)}" for k in sorted(value)]
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def differences(
    recorded: Any, found: Any, place: str = "", tolerance: float = 0.0
) -> Iterator[str]:
    """Yield a line for every place where two JSON values differ.

    Args:
        recorded: What has to be.
        found: What is.
        place: Where in the whole they stand, keys and numbers with dots between.
        tolerance: Floats may differ by this much, absolutely or as a share of the recorded one.
    """
    dot = "." if place else ""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in sorted(recorded.keys() | found.keys()):
            if key in recorded and key in found:
                here = f"{place}{dot}{key}"
                yield from differences(recorded[key], found[key], here, tolerance)
            else:
                yield f"{place}{dot}{key}: is {'missing' if key in recorded else 'new'}"
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for i, (one, other) in enumerate(zip(recorded, found, strict=True)):
            yield from differences(one, other, f"{place}{dot}{i}", tolerance)
    elif not _same(recorded, found, tolerance):
        yield f"{place}: {recorded!r} was recorded, {found!r} found"


def _same(recorded: Any, found: Any, tolerance: float) -> bool:
    if type(recorded) is not type(found):  # 1, 1.0 and true are not the same answer
        return False
    if isinstance(recorded, float) and tolerance:
        return bool(found == pytest.approx(recorded, abs=tolerance, rel=tolerance, nan_ok=True))
    return bool(recorded == found)
