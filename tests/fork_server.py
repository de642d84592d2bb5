"""A Python that has imported what is slow to import, and is forked for each process of a test.

Starting a Python, and importing Great Expectations, Prefect, MLflow and torch in it, takes longer
than most of what tests ask of a process: 20 seconds of a core against one or two. So one process
of the run does that once and forks. What is forked is a process as any other: with its own
environment, working directory, standard streams, session, exit code, and signals.

``start`` gives a small executable that stands in for ``sys.executable``. Called as ``python -c
CODE ...``, ``python -m MODULE ...`` or with a script of this project, it has the server fork, hands
over its streams, its environment and its working directory, passes signals on, and ends as the
forked process ends; if it is killed, that is killed too. Called in any other way, or in another
mount namespace, it is the ordinary Python. What a test says of a fresh process (which modules it
loads, what is not installed) has to be asked of the ordinary one.

Run as ``python fork_server.py serve SOCKET OWNER``, this file is the server; as ``python -IS
fork_server.py SOCKET ...``, it is the executable. It imports nothing outside the standard library
before it has to.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time

PRELOAD = (
    "great_expectations",
    "mlflow.store.tracking.sqlalchemy_store",
    "prefect.server.api.server",
    "uvicorn.main",
    "torch",
    "transformers.models.llama.modeling_llama",
    "trl.trainer.sft_trainer",
    "peft",
    "tasks.training.run",
    "tasks.training.sft",
    "flows.finetune",
)
"""Modules of ours among them are imported by nearly every command; the command line itself is not,
so that what it reads of its environment when it is imported is read anew each time."""

PARENT = "TEMPER_PARENT"
"""The process that a child ends with, in its environment."""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
NAME = "python"
"""Of the executable, in the server's folder."""
START_SECONDS = 500.0
# What a forked interpreter can't be: its code would need file descriptors that aren't passed on.
ORDINARY = ("multiprocessing", "resource_tracker")


def start(folder: "Path", owner: int) -> None:  # noqa: F821
    """Start a server, and write the executable that stands in for ``sys.executable``.

    Where nothing can be forked, the executable is the ordinary Python.

    Args:
        folder: Where both of their files are.
        owner: The process with which the server ends.
    """
    import subprocess

    place, python = folder / "socket", folder / NAME
    if not hasattr(os, "fork") or len(str(place)) > 100:
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        return
    words = f'"{sys.executable}" -IS "{__file__}" "{place}" "{_namespace()}"'
    python.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    python.chmod(0o755)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(place), str(owner), str(python)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not place.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((folder / "server.log").read_text())
        time.sleep(0.05)


def serve(place: str, owner: int, python: str) -> None:
    """Import what is slow to import, then fork for each who asks, until the owner has ended."""
    import gc
    import importlib

    os.environ.setdefault("COLUMNS", "160")
    for name in PRELOAD:
        try:
            importlib.import_module(name)
        except ImportError as error:
            print(f"without {name}: {error}", flush=True)
    # What is started by a forked process is forked as well.
    sys.executable = python
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place + ".new")
    listener.listen(64)
    listener.settimeout(2)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.rename(place + ".new", place)
    # What is there now is there for good: a collection in a forked process would copy all of it.
    gc.collect()
    gc.freeze()
    while _lives(owner):
        try:
            asked, _ = listener.accept()
        except TimeoutError:
            continue
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _keep(asked)
            return
        asked.close()
    os._exit(0)  # an orderly end takes seconds, too


def _namespace() -> str:
    """Return which file system this process sees: a forked one sees the server's."""
    return os.readlink("/proc/self/ns/mnt") if os.path.exists("/proc/self/ns/mnt") else ""


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _keep(asked: socket.socket) -> None:
    """Fork once more, and tell who asked how that process ended; end it if who asked is gone."""
    asked.settimeout(None)
    request, fds, _, _ = socket.recv_fds(asked, 1 << 22, 4)
    while not request.endswith(b"\0"):
        request += asked.recv(1 << 22)
    pid = os.fork()
    if pid == 0:
        asked.close()
        _end(_become(json.loads(request[:-1]), fds))
    for fd in fds:
        os.close(fd)
    asked.sendall(f"{pid}\n".encode())
    guard = os.fork()
    if guard == 0:
        # Nothing more is ever said by who asked: this is its end.
        asked.recv(1)
        if os.getppid() != 1:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # who asked may be gone
        asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os.kill(guard, signal.SIGKILL)
    os._exit(0)


def _become(request: "dict[str, object]", fds: "list[int]") -> int:
    """Be the process that was asked for; return its exit code."""
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
        os.close(fd)
    os.setsid()
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    # Whoever asked watches its parent, and its end is this process's: see ``_watch_parent``.
    os.environ.pop(PARENT, None)
    if "prefect" in sys.modules:
        from prefect.context import refresh_global_settings_context

        refresh_global_settings_context()
    try:
        _run(*request["args"])  # type: ignore[misc]
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        return 1
    return 0


def _run(kind: str, what: str, *args: str) -> None:
    """Run code or a module as Python runs what it is started with."""
    import runpy

    paths = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    sys.path[:] = ["", *paths, *(p for p in sys.path[1:] if p not in paths)]
    if kind == "script":
        sys.path[0], sys.argv = os.path.dirname(what), [what, *args]
        runpy.run_path(what, run_name="__main__")
    elif kind == "-c":
        sys.argv = ["-c", *args]
        sys.modules["__main__"] = main = type(sys)("__main__")
        exec(compile(what, "<string>", "exec"), main.__dict__)
    else:
        sys.argv = [what, *args]
        if not hasattr(sys.modules.get(what), "__path__"):
            sys.modules.pop(what, None)  # runpy warns of what is there already
        runpy.run_module(what, run_name="__main__", alter_sys=True)


def _end(code: int) -> None:
    """End as Python does, but for taking apart all that was imported: that takes seconds."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _watch_parent() -> None:
    """End this process where the one it is to end with is gone, as ``tasks.lifeline`` does.

    The forked process has another parent than the one that its environment names, so that it can't
    look itself.
    """
    parent = os.environ.get(PARENT, "")
    if not parent.isdecimal():
        return
    import threading
    import time

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(2)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def ask(place: str, args: "list[str]") -> int:
    """Have a process forked, and return its exit code; negative where a signal ended it."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(place)
    request = {"args": args, "env": dict(os.environ), "cwd": os.getcwd()}
    data = json.dumps(request).encode() + b"\0"
    sent = socket.send_fds(server, [data], [0, 1, 2])
    server.sendall(data[sent:])
    answer = server.makefile()
    pid = int(answer.readline())
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    return int(answer.readline())


def main(args: "list[str]") -> None:
    """Serve, or be the executable."""
    if args[0] == "serve":
        serve(args[1], int(args[2]), args[3])
        return
    place, namespace, *asked = args
    words = asked[1:] if asked[:1] == ["-u"] else asked
    if words and words[0].endswith(".py") and words[0].startswith(ROOT):
        words = ["script", *words]
    forked = words[:1] in (["-c"], ["-m"], ["script"]) and namespace == _namespace()
    if not forked or any(word in words[1] for word in ORDINARY):
        os.execv(sys.executable, [sys.executable, *asked])
    _watch_parent()
    code = ask(place, words)
    if code < 0:
        if -code in PASSED_ON:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    # Nothing of this process is worth an orderly end.
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
