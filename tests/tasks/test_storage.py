import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.artifacts import LocalModel
from tasks.errors import StorageError
from tasks.storage import building, commit, digest_of, find, load, stage_key

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
from pathlib import Path
from tasks.storage import building
with building(Path(sys.argv[1])) as aside:
    (aside / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def make(folder, text="abc"):
    with building(folder) as aside:
        (aside / "data.txt").write_text(text)
        return commit(aside, LocalModel(path=folder, digest="d", name="m", tokenizer_digest="t"))


def test_an_artifact_is_found_again_with_its_receipt(tmp_path):
    made = make(tmp_path / "a")
    assert find(tmp_path / "a", LocalModel) == made


def test_a_folder_without_a_manifest_is_not_an_artifact(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "a" / "manifest.json").unlink()
    assert find(tmp_path / "a", LocalModel) is None


def test_an_artifact_with_a_file_cut_short_is_not_whole(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "a" / "data.txt").write_text("ab")
    assert find(tmp_path / "a", LocalModel) is None
    with pytest.raises(StorageError, match="missing or damaged"):
        load(tmp_path / "a", LocalModel)


def test_a_damaged_artifact_is_made_anew(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "a" / "data.txt").unlink()
    make(tmp_path / "a", "new")
    assert (tmp_path / "a" / "data.txt").read_text() == "new"


def test_of_two_that_build_the_same_the_first_one_stays(tmp_path):
    make(tmp_path / "a", "first")
    make(tmp_path / "a", "second")
    assert (tmp_path / "a" / "data.txt").read_text() == "first"


def fail_while_building(folder):
    with building(folder) as aside:
        (aside / "half").write_text("x")
        raise ZeroDivisionError


def test_a_build_that_fails_leaves_nothing_behind(tmp_path):
    with pytest.raises(ZeroDivisionError):
        fail_while_building(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_moved_home_keeps_its_artifacts(tmp_path):
    make(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    found = find(tmp_path / "b", LocalModel)
    assert found is not None
    assert found.path == tmp_path / "b"


def test_the_digest_ignores_the_order_of_keys():
    assert digest_of({"a": 1, "b": [2]}) == digest_of(json.loads('{"b": [2], "a": 1}'))


def test_a_value_without_a_canonical_form_is_refused():
    with pytest.raises(TypeError, match="no canonical form for object"):
        digest_of({"a": object()})


def test_a_stage_key_depends_on_its_code_and_its_inputs():
    one = stage_key("s", {"x": 1}, "tasks.text.keyed")
    assert one == stage_key("s", {"x": 1}, "tasks.text.keyed")
    assert one != stage_key("t", {"x": 1}, "tasks.text.keyed")
    assert one != stage_key("s", {"x": 2}, "tasks.text.keyed")
    assert one != stage_key("s", {"x": 1}, "tasks.text.normal")


def test_a_stage_without_a_module_has_no_key():
    with pytest.raises(ModuleNotFoundError, match="Temper has no module tasks.nowhere"):
        stage_key("s", {}, "tasks.nowhere")


def test_what_a_killed_process_left_aside_is_swept_and_what_a_living_one_makes_stays(tmp_path):
    killed = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "a")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killed.wait(60) == -signal.SIGKILL
    [left] = (p for p in tmp_path.glob(".a.*") if p.is_dir())
    assert (left / "half").read_text() == "half"
    with building(tmp_path / "c") as living, building(tmp_path / "b"):
        assert not left.exists()
        assert living.is_dir()


IN_A_NAMESPACE = ["unshare", "-rpf", "--mount-proc"]


def test_a_process_of_another_container_is_not_taken_for_gone(tmp_path):
    """A container's processes have numbers of their own: the same one may be somebody else's."""
    if subprocess.run([*IN_A_NAMESPACE, "true"], capture_output=True).returncode:
        pytest.skip("a namespace of process numbers can't be made here (unshare -rpf)")
    sweep = "import sys; from pathlib import Path; from tasks.storage import building\n" + (
        "with building(Path(sys.argv[1])): pass"
    )
    with building(tmp_path / "a") as living:
        swept = subprocess.run(
            [*IN_A_NAMESPACE, sys.executable, "-c", sweep, str(tmp_path / "b")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert swept.returncode == 0
        assert living.is_dir()


def test_a_folder_of_ours_is_its_owners_alone(tmp_path):
    make(tmp_path / "home" / "models" / "a")
    for folder in ("home", "home/models", "home/models/a"):
        assert (tmp_path / folder).stat().st_mode & 0o077 == 0
