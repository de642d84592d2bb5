"""The installed project as a source package that a bare machine can run."""

import gzip
import importlib.metadata
import importlib.util
import io
import tarfile
from pathlib import Path

from tasks.storage import building, digest_of, file_digest, home

PACKAGES = ("configs", "tasks")
"""What the trainer needs of the project; the flows stay at home."""

REQUIRED = (
    "pydantic",
    "pydantic-settings",
    "pyyaml",
    "jinja2",
    "numpy",
    "pyarrow",
    "datasets",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "safetensors",
)
"""What the trainer imports beside PyTorch, which the container brings."""

SOURCE, NEEDS, START = "source.tar.gz", "requirements.txt", "start.sh"

START_SCRIPT = """\
#!/bin/bash
# Starts the trainer inside a SageMaker container. What went wrong is left where the service looks.
set -u
ml=${TEMPER_OPT_ML:-/opt/ml}
channel=$ml/input/data/code
code=$ml/code
failed() { echo "$1" > "$ml/output/failure"; echo "$1" >&2; exit 1; }
mkdir -p "$code" "$ml/output"
python=$(command -v python3 || command -v python) || failed "the image has no Python."
tar -xzf "$channel/source.tar.gz" -C "$code" \\
  || failed "the source package can't be unpacked."
if [ "${TEMPER_INSTALL:-1}" = 1 ]; then
  "$python" -m pip install --quiet --disable-pip-version-check -r "$channel/requirements.txt" \\
    || failed "pip could not install requirements.txt; the log says why."
fi
cd "$code" || failed "the source package is not there."
export PYTHONPATH="$code" PYTHONUNBUFFERED=1
# In place of this shell, so that the service's signal to stop reaches it.
exec "$python" -m tasks.training.sagemaker.driver
"""


def source_files() -> dict[str, Path]:
    """Return the project's files by their path in the package."""
    files: dict[str, Path] = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*")):
            hidden = any(p.startswith((".", "__pycache__")) for p in path.relative_to(root).parts)
            if path.is_file() and not hidden and path.suffix != ".pyc":
                files[f"{package}/{path.relative_to(root)}"] = path
    return files


def requirements() -> str:
    """Return ``requirements.txt``: the versions that are installed here, so that both agree."""
    found = [f"{name}=={importlib.metadata.version(name)}" for name in REQUIRED]
    return "".join(f"{line}\n" for line in found)


def source_package() -> tuple[str, dict[str, Path]]:
    """Return the digest of the package and its files: archive, requirements and start script."""
    files = source_files()
    listed = {name: file_digest(path) for name, path in files.items()}
    digest = digest_of({"files": listed, "needs": requirements(), "start": START_SCRIPT})
    folder = home("packages", digest[:32])
    if not folder.is_dir():
        with building(folder) as aside:
            (aside / SOURCE).write_bytes(_archive(files))
            (aside / NEEDS).write_text(requirements())
            (aside / START).write_text(START_SCRIPT)
            if not folder.exists():
                aside.rename(folder)
    return digest, {name: folder / name for name in (SOURCE, NEEDS, START)}


def _archive(files: dict[str, Path]) -> bytes:
    """Return a tar.gz that is the same bytes for the same files: no times, no owners."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            content = path.read_bytes()
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
