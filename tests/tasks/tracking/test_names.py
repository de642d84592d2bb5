import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.tracking.names import LONGEST, LONGEST_EXPERIMENT, mlflow_key, mlflow_keys

mlflow = pytest.importorskip("mlflow")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("pass@1", "pass_at_1"),
        ("candidate/code/pass@10.low", "candidate/code/pass_at_10.low"),
        ("macro_f1", "macro_f1"),
        ("train/loss/Größe 漢字", "train/loss/Größe 漢字"),
    ],
)
def test_names_stay_readable(name: str, key: str) -> None:
    assert mlflow_key(name) == key


@given(st.text(min_size=1, max_size=700))
def test_mlflow_takes_every_key(name: str) -> None:
    from mlflow.entities import Metric
    from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

    key = mlflow_key(name)
    assert len(key) <= LONGEST
    _validate_metric(key, 1.0, 0, 0)
    _validate_param(key, "x")
    _validate_tag(key, "x")
    assert Metric(key, 1.0, 0, 0).key == key


@given(st.sets(st.text(alphabet="ab@_/.%", min_size=1, max_size=6), max_size=30))
def test_no_two_names_share_a_key(names: set[str]) -> None:
    keys = mlflow_keys(sorted(names))
    assert len(set(keys.values())) == len(names)


def test_a_name_that_is_cut_keeps_apart_from_another_with_the_same_beginning() -> None:
    one, other = (mlflow_key("x" * 600 + end, LONGEST_EXPERIMENT) for end in "ab")
    assert one != other
    assert len(one) == len(other) == LONGEST_EXPERIMENT
