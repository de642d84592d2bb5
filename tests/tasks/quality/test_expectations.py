import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.errors import DataError
from tasks.quality.expectations import build_data_docs, validate
from tasks.quality.suite import IN_SET, ROW_COUNT, Expectation


@pytest.fixture
def frame() -> pd.DataFrame:
    flags = np.zeros((6, 2), dtype=bool)
    flags[[1, 4], 0] = True
    return pd.DataFrame(flags, columns=["empty", "length"]).assign(
        label=pd.Series(["a", "b", "c", "a", "b", None], dtype="str"), chars=[1, 2, 3, 4, 50, 60]
    )


def _own(*expectations: dict[str, Any]) -> list[Expectation]:
    return [{"kwargs": {}, "meta": {"own": True}} | e for e in expectations]


def _clean(column: str, mostly: float, severity: str = "critical") -> Expectation:
    kwargs = {"column": column, "value_set": [False], "mostly": mostly}
    return {"type": IN_SET, "severity": severity, "kwargs": kwargs}


def test_a_share_of_clean_rows_is_met_up_to_its_last_row(frame: pd.DataFrame) -> None:
    suite = [_clean("empty", 4 / 6), _clean("empty", 0.7), _clean("length", 1.0, "warning")]
    outcomes = validate("voc", frame, suite).outcomes
    assert [(o.column, o.severity, o.success, o.unexpected) for o in outcomes] == [
        ("empty", "critical", True, 0),
        ("empty", "critical", False, 2),
        ("length", "warning", True, 0),
    ]


def test_no_rows_meet_every_share_and_no_count(frame: pd.DataFrame) -> None:
    rows = {"type": ROW_COUNT, "kwargs": {"min_value": 1}}
    outcomes = validate("voc", frame[:0], [_clean("empty", 1.0), rows]).outcomes
    assert [o.success for o in outcomes] == [True, False]


def test_ones_own_expectations_keep_their_severity_and_name_their_rows(
    frame: pd.DataFrame,
) -> None:
    own = _own(
        {
            "type": "expect_column_values_to_be_between",
            "severity": "warning",
            "kwargs": {"column": "chars", "max_value": 40},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "label", "value_set": ["a", "b"], "mostly": 0.7},
        },
        {
            "type": "expect_column_mean_to_be_between",
            "severity": "info",
            "kwargs": {"column": "chars", "max_value": 3},
        },
    )
    outcomes = validate("voc", frame, own, locate=True).outcomes
    assert all(o.own for o in outcomes)
    assert [(o.name, o.severity, o.success, o.rows) for o in outcomes] == [
        ("expectation:column_values_to_be_between(chars)", "warning", False, (4, 5)),
        ("expectation:column_values_to_be_in_set(label)", "critical", True, ()),
        ("expectation:column_mean_to_be_between(chars)", "info", False, ()),
    ]


@pytest.mark.parametrize(
    ("expectation", "name"),
    [
        ({"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "absent"}}, "absent"),
        (
            {
                "type": "expect_column_values_to_be_between",
                "kwargs": {"column": "label", "min_value": 3},
            },
            "label",
        ),
        ({"type": "expect_nothing_known", "kwargs": {"column": "x"}}, "nothing_known"),
        ({"type": "expect_column_values_to_be_in_set", "kwargs": {"colum": "x"}}, "in_set"),
        ({"type": "expect_column_mean_to_be_between", "kwargs": {}}, "mean_to_be_between"),
    ],
)
def test_an_expectation_that_raises_is_an_error_and_never_bad_data(
    frame: pd.DataFrame, expectation: dict[str, Any], name: str
) -> None:
    with pytest.raises(DataError, match=f"'expectation:.*{name}.*could not be computed"):
        validate("voc", frame, _own(expectation))


def test_suite_and_result_are_kept_as_great_expectations_reads_them_back(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    quantiles = {"quantiles": [0.5], "value_ranges": [[1, 9]]}
    own = _own(
        {
            "type": "expect_column_quantile_values_to_be_between",
            "kwargs": {"column": "chars", "quantile_ranges": quantiles},
        },
        {
            "type": "expect_column_values_to_be_in_set",
            "kwargs": {"column": "label", "value_set": {"$PARAMETER": "labels"}},
        },
    )
    suite = [_clean("empty", 0.9), *own]
    validate("voc", frame, suite, {"labels": ["a", "b"]}, locate=True).write(tmp_path)
    kept = json.loads((tmp_path / "expectation_suite.json").read_text())
    assert (kept["name"], [e["type"] for e in kept["expectations"]]) == (
        "voc",
        [e["type"] for e in suite],
    )
    from great_expectations.core.expectation_validation_result import (
        expectationSuiteValidationResultSchema as schema,
    )

    text = (tmp_path / "validation_result.json").read_text()
    result = schema.load(json.loads(text))
    assert [bool(r.success) for r in result.results] == [False, True, False]
    assert result.statistics["successful_expectations"] == 1
    assert '"c"' not in text


def test_what_is_said_later_of_a_column_takes_the_place_of_what_was_said(
    frame: pd.DataFrame,
) -> None:
    first = validate("voc", frame, [_clean("empty", 0.9), _clean("length", 1.0)])
    whole = first.joined(validate("voc", frame, [_clean("empty", 0.1)]))
    said = {
        r["expectation_config"]["kwargs"]["column"]: r["success"] for r in whole.result["results"]
    }
    assert said == {"empty": True, "length": True}
    assert whole.result["success"]
    assert whole.result["statistics"]["success_percent"] == 100
    assert len(whole.suite["expectations"]) == 2


def test_data_docs_show_every_expectation_and_load_nothing(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    for name in ("voc", "faq"):
        (tmp_path / name).mkdir()
        suite = [_clean("empty", 0.9) | {"notes": "Why it matters."}, _clean("length", 1.0)]
        validate(name, frame, suite).write(tmp_path / name)
    index = build_data_docs({n: tmp_path / n for n in ("voc", "faq")}, tmp_path / "docs")
    pages = {p: p.read_text() for p in (tmp_path / "docs").rglob("*.html")}
    assert {"voc.html", "faq.html", "index.html"} == {p.name for p in pages}
    suite_page, result_page = (
        next(text for p, text in pages.items() if kind in p.parts and p.stem == "voc")
        for kind in ("expectations", "validations")
    )
    assert all(word in suite_page for word in ("empty", "length", "Why it matters."))
    assert all(word in result_page for word in ("empty", "length", "33.33%"))
    assert all("default-src 'none'" in text.split("</head>")[0] for text in pages.values())
    build_data_docs({n: tmp_path / n for n in ("voc", "faq")}, tmp_path / "docs")
    assert len(list((tmp_path / "docs").rglob("*.html"))) == len(pages)
    links = re.findall(r'href="([^"]+)"', pages[index])
    assert {Path(link).name for link in links} == {"voc.html", "faq.html"}
    assert all((index.parent / link).is_file() for link in links)


@pytest.mark.slow
def test_a_real_browser_shows_the_data_docs_and_asks_for_nothing(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    (tmp_path / "voc").mkdir()
    validate("voc", frame, [_clean("empty", 0.9)]).write(tmp_path / "voc")
    build_data_docs({"voc": tmp_path / "voc"}, tmp_path / "docs")
    (page,) = (tmp_path / "docs" / "validations").rglob("voc.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path}/b", "--enable-logging=stderr", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert "Expectation Validation Result" in done.stdout
    assert "ERR_" not in done.stderr


def test_judging_is_silent_and_sends_nothing() -> None:
    program = (
        "import pandas as pd, os\n"
        "from tasks.quality.expectations import validate\n"
        "suite = [{'type': 'expect_table_row_count_to_be_between', 'kwargs': {'min_value': 1}}]\n"
        "validate('voc', pd.DataFrame({'empty': [False, True]}), suite)\n"
        "assert os.environ['GX_ANALYTICS_ENABLED'] == 'false'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_great_expectations_is_imported_only_when_rows_are_judged() -> None:
    program = (
        "import sys, tasks.quality.stage, tasks.quality.suite, tasks.ingest.stage\n"
        "heavy = {'great_expectations', 'datasets', 'torch', 'prefect'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
