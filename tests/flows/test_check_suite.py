"""What decides a source's verdict, shown and published from the command line."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.commands import app


@pytest.fixture
def recipe(tmp_path: Path, temper_home: Path) -> Path:
    """A recipe of one small source, one of whose rows is empty."""
    rows = [{"prompt": f"question {i}?", "completion": f"answer {i}"} for i in range(30)]
    rows.append({"prompt": "", "completion": "yes"})
    (tmp_path / "faq.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {
        "name": "faq",
        "role": "domain",
        "kind": "files",
        "path": str(tmp_path / "faq.jsonl"),
    }
    path = tmp_path / "recipe.yaml"
    fields = {
        "name": "faq",
        "seed": 17,
        "model": {"path": str(tmp_path / "none")},
        "sources": [source],
        "mixture": {"domain_share": 1.0},
        "training": {"batch_rows": 8, "learning_rate": 2.0e-4},
        "evaluation": {"suites": [{"kind": "classification", "name": "faq", "source": "faq"}]},
    }
    path.write_text(yaml.safe_dump(fields))
    return path


def test_the_suite_is_shown_with_ones_own_share_in_it(recipe: Path, tmp_path: Path) -> None:
    own = {
        "type": "expect_column_values_to_be_in_set",
        "kwargs": {"column": "empty", "mostly": 0.99},
    }
    (tmp_path / "own.json").write_text(json.dumps({"expectations": [own]}))
    chosen = ["--set", f"quality.expectations={tmp_path}/own.json"]
    told = CliRunner().invoke(app, ["check", str(recipe), "--show-suite", "--json", *chosen])
    assert told.exit_code == 0, told.output
    suite = json.loads(told.output)["expectations"]
    shares = {e["kwargs"].get("column"): e["kwargs"].get("mostly") for e in suite}
    assert (shares["empty"], shares["duplicate"]) == (0.99, 0.8)
    shown = CliRunner().invoke(app, ["check", str(recipe), "--show-suite"])
    assert all(word in shown.output for word in ("row_count", "set_aside", "mostly 0.8"))


def test_data_docs_are_written_where_asked(recipe: Path, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    told = CliRunner().invoke(app, ["check", str(recipe), "--data-docs", str(docs), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.output)["verdicts"][0]["verdict"] == "quarantine"
    (page,) = (docs / "validations").rglob("faq.html")
    assert "set_aside" in page.read_text()
    assert "faq" in (docs / "index.html").read_text()
