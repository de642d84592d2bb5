"""Locks on files: who works on what, across processes, containers and machines of one folder.

The kernel holds a lock for as long as the process lives that took it, however it ends. So a lock
says whether somebody is still there, where a process's number says nothing in another container.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tasks.errors import StorageError

POLL_SECONDS = 0.1


class Lock:
    """A lock that this process holds on a file, until it is let go or the process ends.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, stream: IO[str]) -> None:
        self.path, self._stream = path, stream

    def release(self, *, remove: bool = False) -> None:
        """Let it go.

        Args:
            remove: Whether the file goes, too: nobody is to wait for it.
        """
        if remove:
            self.path.unlink(missing_ok=True)
        self._stream.close()


def try_lock(path: Path) -> Lock | None:
    """Return the lock on a file, which is made; None where somebody holds it.

    Raises:
        StorageError: The file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        stream = path.open("a+")
        try:
            if not _acquire(stream, path):
                stream.close()
                return None
        except BaseException:
            stream.close()
            raise
        # Whoever held it before may have removed the file: then this is a lock on nothing.
        if _same_file(stream, path):
            return Lock(path, stream)
        stream.close()


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock on a file while the context is open; the file goes at the end.

    Args:
        path: The file.
        waiting: Called once where somebody else holds it.
    """
    while (lock := try_lock(path)) is None:
        if waiting is not None:
            waiting()
            waiting = None
        time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release(remove=True)


def is_held(path: Path) -> bool:
    """Return whether a living process holds the lock on a file."""
    try:
        with path.open("r+") as stream:
            return not _acquire(stream, path)
    except FileNotFoundError:
        return False


def _acquire(stream: IO[str], path: Path) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise
        raise StorageError(
            f"files can't be locked here ({error.strerror}).",
            where=str(path),
            fix="set TEMPER_HOME to a folder of a disk that has locks.",
        ) from error
    return True


def _same_file(stream: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False
