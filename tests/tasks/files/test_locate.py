import sys
from pathlib import Path

import pytest

from tasks.errors import SourceError
from tasks.files.locate import identify_content, locate_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "b.jsonl",
        "a.jsonl.gz",
        "deep/c.csv",
        "deep/er/d.jsonl",
        "README.md",
        "_tmp/e.jsonl",
        ".hidden.jsonl",
        "deep/_f.jsonl",
    ):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path / "data"


def _names(path: object) -> list[str]:
    return [f.name for f in locate_files(str(path))]


def test_a_folder_means_its_data_files_sorted_without_hidden_ones(folder: Path) -> None:
    assert _names(folder) == ["a.jsonl.gz", "b.jsonl", "deep/c.csv", "deep/er/d.jsonl"]
    assert _names(f"{folder}/") == _names(folder)


def test_a_file_named_by_itself_is_taken_whatever_its_name(folder: Path) -> None:
    assert _names(folder / ".hidden.jsonl") == [".hidden.jsonl"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.jsonl*", ["a.jsonl.gz", "b.jsonl"]),
        ("[ab].jsonl*", ["a.jsonl.gz", "b.jsonl"]),
        ("?.jsonl", ["b.jsonl"]),
        ("deep/*.csv", ["deep/c.csv"]),
        ("*/*.csv", ["deep/c.csv"]),
        ("**/d.jsonl", ["deep/er/d.jsonl"]),
        ("deep/**/*.jsonl", ["deep/_f.jsonl", "deep/er/d.jsonl"]),
    ],
)
def test_a_glob_means_the_files_it_matches(folder: Path, pattern: str, names: list[str]) -> None:
    found = [str(Path(f.path).relative_to(folder)) for f in locate_files(f"{folder}/{pattern}")]
    assert found == names


def test_a_relative_path_is_taken_from_where_one_stands(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert _names("deep/c.csv") == ["c.csv"]


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("b.jsnl", "did you mean b.jsonl"),
        ("deeep/c.csv", "did you mean deep, in"),
        ("*.parquet", "holds"),
        ("nothing/alike", "holds"),
    ],
)
def test_a_missing_path_says_what_is_nearby(folder: Path, path: str, fix: str) -> None:
    with pytest.raises(SourceError, match="no such file or folder") as error:
        locate_files(f"{folder}/{path}")
    assert fix in error.value.fix
    assert error.value.where == f"{folder}/{path}"


def test_a_folder_without_data_files_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(SourceError, match="holds no data file"):
        locate_files(str(tmp_path))


def test_an_unknown_store_is_an_error() -> None:
    with pytest.raises(SourceError, match="'gs://' is not a store"):
        locate_files("gs://bucket/x.jsonl")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    root = tmp_path / "site" / "loud_package"
    (root / "data").mkdir(parents=True)
    (root / "__init__.py").write_text("raise RuntimeError('imported')")
    (root / "data" / "a.jsonl").write_text("{}")
    monkeypatch.syspath_prepend(root.parent)
    return root.name


def test_a_package_path_is_found_without_importing_the_package(package: str) -> None:
    assert _names(f"package:{package}/data/a.jsonl") == ["a.jsonl"]
    assert _names(f"package:{package}/data") == ["a.jsonl"]
    assert package not in sys.modules


def test_a_package_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(SourceError, match="no package named 'no_such_package'"):
        locate_files("package:no_such_package/a.jsonl")


def test_a_package_path_stays_inside_the_package(package: str) -> None:
    with pytest.raises(SourceError, match="leaves the package"):
        locate_files(f"package:{package}/../../secret.jsonl")


def test_identity_follows_content_and_kind_and_not_the_name(tmp_path: Path) -> None:
    for name, text in (("a.jsonl", "{}"), ("b.jsonl", "{}"), ("c.jsonl", "[]"), ("d.csv", "{}")):
        (tmp_path / name).write_text(text)
    a, b, c, d = (
        identify_content(locate_files(str(tmp_path / n))[0])
        for n in ("a.jsonl", "b.jsonl", "c.jsonl", "d.csv")
    )
    assert a == b
    assert len({a, c, d}) == 3
