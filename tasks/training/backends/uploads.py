"""A job's parts as published sets of files: code, ``job.json``, model, mixture, own rewards."""

import gzip
import importlib.metadata
import importlib.util
import io
import tarfile
from pathlib import Path

from tasks.artifacts import LocalModel, MixtureReceipt, Receipt
from tasks.errors import SetupError
from tasks.models.identity import weight_files
from tasks.storage import building, digest_of, file_digest, home, write_text
from tasks.store.places import BlobStore, address_of, files_below, publish
from tasks.training.job import TrainingJob
from tasks.training.placement import place_trainer
from tasks.training.rewards import OWN, own_modules

Part = tuple[str, str, dict[str, Path]]
"""Kind and digest of a publication, and its files by name."""

_KINDS = {"model": "models", "mixture": "mixtures"}
"""Where in the store a job's field goes, if not under its own name."""

_BESIDE_WEIGHTS = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*")


def model_files(folder: Path) -> dict[str, Path]:
    """Return a model folder's safetensors, settings and tokenizer; nothing pickled."""
    beside = [
        f
        for pattern in _BESIDE_WEIGHTS
        for f in sorted(folder.glob(pattern))
        if f.is_file() and f.name != "manifest.json"
    ]
    return {f.name: f for f in [*weight_files(folder), *beside]}


def mixture_files(mixture: MixtureReceipt) -> dict[str, Path]:
    """Return the mixture's shards and its lock."""
    names = [*mixture.shards, *([mixture.lock.name] if mixture.lock.is_file() else [])]
    return {name: mixture.path / name for name in names}


def parts_of(job: TrainingJob, code: bool = True) -> dict[str, Part]:
    """Return what a job needs on another machine, by the name of its channel."""
    found: dict[str, Part] = {"job": ("jobs", job.key, {"job.json": _job_file(job)})}
    for name, receipt in _receipts(job).items():
        found[name] = (_KINDS.get(name, name), receipt.digest, _files(receipt))
    if own := own_modules(job.training):
        listed = {name: file_digest(path) for name, path in own.items()}
        found[OWN] = (OWN, digest_of(listed), own)
    if code:
        found["code"] = ("code", *source_package())
    return found


def _receipts(job: TrainingJob) -> dict[str, Receipt]:
    """Return the artifacts that a job names: model, mixture, and what else there may be."""
    return {name: value for name, value in job if isinstance(value, Receipt)}


def _files(receipt: Receipt) -> dict[str, Path]:
    if isinstance(receipt, LocalModel):
        return model_files(receipt.path)
    if isinstance(receipt, MixtureReceipt):
        return mixture_files(receipt)
    return files_below(receipt.path)


def upload(job: TrainingJob, place: BlobStore, *, code: bool = True) -> dict[str, str]:
    """Publish the parts that aren't there yet and return their addresses by channel.

    Args:
        job: What is to be trained.
        place: The store.
        code: False where the other machine has the project installed.
    """
    parts = parts_of(job, code)
    return {name: publish(*part, place).uri for name, part in parts.items()}


def addresses(job: TrainingJob, place: BlobStore, *, code: bool = True) -> dict[str, str]:
    """Return the addresses that ``upload`` would give; nothing is published."""
    parts = parts_of(job, code)
    return {name: place.uri(address_of(*part)[0]) for name, part in parts.items()}


def _job_file(job: TrainingJob) -> Path:
    if not job.model.has_weights:
        raise SetupError(
            "only the tokenizer of the base model was fetched.",
            where=job.model.name,
            fix="prepare the model with its weights.",
        )
    path = home("packages", f"job-{job.key[:32]}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Paths of this machine and the placement say nothing there, and would make equal jobs differ.
    plain = {"path": Path("/opt/ml/input/data")}
    receipts = {n: r.model_copy(update=plain) for n, r in _receipts(job).items()}
    elsewhere = job.model_copy(
        update={
            "folder": Path("/opt/ml/checkpoints"),
            **receipts,
            "training": job.training.model_copy(update={"backend": place_trainer(job.backend)}),
        }
    )
    write_text(path, elsewhere.model_dump_json(indent=1))
    return path


# The installed project as a source package that a bare machine can run.

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
exec "$python" -m tasks.training.backends.sagemaker.driver
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
