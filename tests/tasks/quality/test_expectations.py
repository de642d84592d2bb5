import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tasks.errors import DataError
from tasks.quality.expectations import Outcome, validate


@pytest.fixture
def frame() -> pd.DataFrame:
    flags = np.zeros((6, 2), dtype=bool)
    flags[[1, 4], 0] = True
    return pd.DataFrame(flags, columns=["empty", "length"]).assign(
        label=pd.Series(["a", "b", "c", "a", "b", None], dtype="str"), chars=[1, 2, 3, 4, 50, 60]
    )


def _suite(tmp_path: Path, *expectations: dict[str, Any]) -> Path:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({"name": "mine", "expectations": list(expectations), "meta": {}}))
    return path


def test_a_check_fails_on_exactly_the_rows_it_found(frame: pd.DataFrame) -> None:
    assert validate(frame, ["empty", "length"], 1, None) == [
        Outcome("empty", False, "critical", False, (1, 4)),
        Outcome("length", False, "critical", True, ()),
        Outcome("rows", False, "critical", True, ()),
    ]


def test_too_few_rows_fail_the_bound(frame: pd.DataFrame) -> None:
    assert not validate(frame, [], 7, None)[0].success


def test_no_rows_meet_every_check(frame: pd.DataFrame) -> None:
    assert [o.success for o in validate(frame[:0], ["empty"], 1, None)] == [True, False]


def test_ones_own_expectations_keep_their_severity_and_name_their_rows(
    frame: pd.DataFrame, tmp_path: Path
) -> None:
    own = _suite(
        tmp_path,
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
    outcomes = [o for o in validate(frame, ["empty"], 1, own) if o.own]
    assert outcomes == [
        Outcome("expectation:column_values_to_be_between(chars)", True, "warning", False, (4, 5)),
        Outcome("expectation:column_values_to_be_in_set(label)", True, "critical", True, ()),
        Outcome("expectation:column_mean_to_be_between(chars)", True, "info", False, ()),
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
    frame: pd.DataFrame, tmp_path: Path, expectation: dict[str, Any], name: str
) -> None:
    with pytest.raises(DataError, match=f"'expectation:.*{name}.*could not be computed"):
        validate(frame, ["empty"], 1, _suite(tmp_path, expectation))


@pytest.mark.parametrize(
    "text", ["not json", "[]", '{"expectations": 3}', '{"expectations": [{"kwargs": {}}]}']
)
def test_a_file_that_is_no_suite_is_an_error(
    frame: pd.DataFrame, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "suite.json"
    path.write_text(text)
    with pytest.raises(DataError, match="suite"):
        validate(frame, [], 1, path)


def test_a_suite_that_is_not_there_is_an_error(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        validate(frame, [], 1, tmp_path / "none.json")


def test_judging_is_silent_and_sends_nothing() -> None:
    program = (
        "import pandas as pd, os\n"
        "from tasks.quality.expectations import validate\n"
        "validate(pd.DataFrame({'empty': [False, True]}), ['empty'], 1, None)\n"
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
        "import sys, tasks.quality.clean, tasks.quality.page, tasks.ingest.stage\n"
        "heavy = {'great_expectations', 'datasets', 'torch', 'prefect'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[3])
