"""A Prefect server for one run, where there is none and a cluster's task runner needs one.

``python -m flows.prefect_server PORT`` is that server: it listens on loopback alone and ends with
the process that started it, however that one ends. Prefect's own would outlive a killed run.
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from tasks.errors import SetupError
from tasks.lifeline import child_environment, end_with_parent

START_SECONDS = 180.0
STOP_SECONDS = 2.0


@contextlib.contextmanager
def temporary_server() -> Iterator[None]:
    """Run a server while the context is open, and have Prefect use it.

    Raises:
        SetupError: It doesn't start.
    """
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.prefect_server", str(port)],
        env=child_environment() | {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Ctrl-C is for us: a run that is broken off still has to tell the server.
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}/api"
    try:
        _await(process, address)
        with temporary_settings({PREFECT_API_URL: address}):
            yield
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def _await(process: "subprocess.Popen[str]", address: str) -> None:
    import httpx

    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health", timeout=2).status_code == 200:
                return
        time.sleep(0.2)
    process.kill()
    said = (process.stderr.read() if process.stderr else "").strip().splitlines()
    raise SetupError(
        f"Prefect's server did not start: {said[-1] if said else 'it took too long'}.",
        where=f"PREFECT_HOME={os.environ.get('PREFECT_HOME', '~/.prefect')}",
        fix="export PREFECT_HOME=<a folder you may write to>, or set TEMPER_RUNNER=threads, which "
        "needs no server.",
    )


def main(port: int) -> None:
    """Serve on a port of this machine until the parent ends."""
    end_with_parent()
    os.umask(0o077)
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
