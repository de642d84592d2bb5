"""A job's parts as published sets of files: code, ``job.json``, model, mixture."""

from pathlib import Path

from configs.local_backend import LocalBackend
from tasks.errors import SetupError
from tasks.inference.identity import weight_files
from tasks.storage import home, write_text
from tasks.store.places import Place
from tasks.store.publish import address_of, publish
from tasks.training.job import TrainingJob
from tasks.training.package import source_package

Part = tuple[str, str, dict[str, Path]]
"""Kind and digest of a publication, and its files by name."""

_BESIDE_WEIGHTS = ("*.json", "*.jinja", "*.txt", "*.model", "LICENSE*")


def model_files(folder: Path) -> dict[str, Path]:
    """Return a model folder's safetensors, settings and tokenizer; nothing pickled."""
    beside = [f for pattern in _BESIDE_WEIGHTS for f in sorted(folder.glob(pattern))
              if f.is_file() and f.name != "manifest.json"]  # fmt: skip
    return {f.name: f for f in [*weight_files(folder), *beside]}


def mixture_files(job: TrainingJob) -> dict[str, Path]:
    """Return the mixture's shards and its lock."""
    folder = job.mixture.path
    names = [*job.mixture.shards, *([job.mixture.lock.name] if job.mixture.lock.is_file() else [])]
    return {name: folder / name for name in names}


def parts_of(job: TrainingJob, code: bool = True) -> dict[str, Part]:
    """Return what a job needs on another machine, by the name of its channel."""
    found: dict[str, Part] = {
        "job": ("jobs", job.key, {"job.json": _job_file(job)}),
        "model": ("models", job.model.digest, model_files(job.model.path)),
        "mixture": ("mixtures", job.mixture.digest, mixture_files(job)),
    }
    if code:
        found["code"] = ("code", *source_package())
    if job.packs is not None:
        shards = {name: job.packs.path / name for name in job.packs.shards}
        found["packs"] = ("packs", job.packs.digest, shards)
    return found


def upload(job: TrainingJob, place: Place, *, code: bool = True) -> dict[str, str]:
    """Publish the parts that aren't there yet and return their addresses by channel.

    Args:
        job: What is to be trained.
        place: The store.
        code: False where the other machine has the project installed.
    """
    parts = parts_of(job, code)
    return {name: publish(*part, place).uri for name, part in parts.items()}


def addresses(job: TrainingJob, place: Place, *, code: bool = True) -> dict[str, str]:
    """Return the addresses that ``upload`` would give; nothing is published."""
    parts = parts_of(job, code)
    return {name: place.uri(address_of(*part)[0]) for name, part in parts.items()}


def _job_file(job: TrainingJob) -> Path:
    if not job.model.has_weights:
        raise SetupError("only the tokenizer of the base model was fetched.", where=job.model.name,
                         fix="prepare the model with its weights.")  # fmt: skip
    path = home("packages", f"job-{job.key[:32]}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Paths of this machine and the placement say nothing there, and would make equal jobs differ.
    plain = {"path": Path("/opt/ml/input/data")}
    elsewhere = job.model_copy(update={
        "folder": Path("/opt/ml/checkpoints"),
        "model": job.model.model_copy(update=plain),
        "mixture": job.mixture.model_copy(update=plain),
        "packs": job.packs.model_copy(update=plain) if job.packs else None,
        "training": job.training.model_copy(update={"backend": _local(job)}),
    })  # fmt: skip
    write_text(path, elsewhere.model_dump_json(indent=1))
    return path


def _local(job: TrainingJob) -> LocalBackend:
    """Return where the trainer is placed once it is on the other machine: there."""
    backend = job.training.backend
    return LocalBackend(threads=getattr(backend, "threads", None),
                        sharding=getattr(backend, "sharding", "none"))  # fmt: skip
