"""``/opt/ml`` as a job's own folder, through a private mount namespace."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

from tasks.errors import SetupError

# /opt itself may hold things that are needed, Python among them, so each is put back where it was.
_ENTER = """
set -eu
folder=$1; aside=$2; shift 2
mount --rbind /opt "$aside"
mount -t tmpfs none /opt
for there in "$aside"/* "$aside"/.[!.]*; do
  [ -e "$there" ] || [ -L "$there" ] || continue
  name=/opt/$(basename "$there")
  [ "$name" = /opt/ml ] && continue
  if [ -L "$there" ]; then cp -P "$there" "$name"
  elif [ -d "$there" ]; then mkdir "$name" && mount --rbind "$there" "$name"
  else touch "$name" && mount --bind "$there" "$name"; fi
done
mkdir /opt/ml
mount --bind "$folder" /opt/ml
[ ! -f "$folder.hosts" ] || mount --bind "$folder.hosts" /etc/hosts
exec "$@"
"""


@cache
def way_in() -> tuple[str, ...]:
    """Return the ``unshare`` command that works here.

    Raises:
        SetupError: None does.
    """
    tries = (("unshare", "--mount"), ("unshare", "--mount", "--map-root-user"))
    probe = ("mount", "-t", "tmpfs", "none", "/opt")
    for command in tries:
        if (
            shutil.which("unshare")
            and not subprocess.run([*command, *probe], capture_output=True, check=False).returncode
        ):
            return command
    raise SetupError(
        "a private mount namespace isn't permitted, so /opt/ml can't be a job's own folder.",
        where="the SageMaker stand-in",
        fix="run as root (in a container: with CAP_SYS_ADMIN), allow unprivileged user namespaces, "
        "or set TEMPER_SAGEMAKER_STANDIN_MOUNTS=false: the job then gets its folder's own path.",
    )


def inside(folder: Path, command: list[str]) -> list[str]:
    """Return the command line that runs ``command`` with ``folder`` as ``/opt/ml``.

    Where :func:`name_hosts` left names of machines beside the folder, they are known inside.

    Raises:
        SetupError: No private mount namespace is permitted here.
    """
    aside = folder.parent / "opt"
    aside.mkdir(parents=True, exist_ok=True)
    return [*way_in(), "bash", "-c", _ENTER, "enter", str(folder), str(aside), *command]


def name_hosts(folder: Path, hosts: list[str]) -> None:
    """Let a job's machines find each other by name: all of them are this one, on loopback."""
    known = Path("/etc/hosts")
    kept = known.read_text() if known.is_file() else ""
    folder.with_name(f"{folder.name}.hosts").write_text(f"127.0.0.1 {' '.join(hosts)}\n{kept}")
