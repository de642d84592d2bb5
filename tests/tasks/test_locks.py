import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from tasks.locks import is_held, locked, try_lock

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from tasks.locks import try_lock
lock = try_lock(Path(sys.argv[1]))
print("held" if lock else "busy", flush=True)
time.sleep(60)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


def test_a_lock_is_held_until_its_process_ends_however_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    holder = hold(path)
    try:
        assert is_held(path)
        assert try_lock(path) is None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert not is_held(path)
        assert try_lock(path) is not None
    finally:
        holder.kill()


def test_a_lock_nobody_made_is_not_held(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "none.lock")


def test_a_removed_lock_does_not_let_two_in(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = try_lock(path)
    assert first is not None
    first.release(remove=True)
    second = try_lock(path)
    assert second is not None
    assert try_lock(path) is None
    assert path.exists()


def test_of_many_one_at_a_time_is_inside_and_no_file_stays(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "a.lock", [], []

    def work() -> None:
        for _ in range(5):
            with locked(path):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 40
    assert not path.exists()
