"""Weights between the base and the trained model: some of what was learnt, with no new training.

``base + share * (trained - base)`` is the adapter scaled by ``share``, where there is one, or else
weight interpolation (WiSE-FT, Wortsman et al. 2022). It is the cheapest way to give up a little of
the domain for a little of what was forgotten, so try it before anything that has to be trained for.
"""

import shutil
from pathlib import Path
from typing import Any

from tasks.artifacts import Checkpoint, LocalModel
from tasks.errors import TrainingError
from tasks.models.identity import weight_files, weights_digest
from tasks.storage import building, commit, find, home, stage_key


def interpolate_weights(base: LocalModel, trained: Checkpoint, share: float) -> Checkpoint:
    """Return the checkpoint with that share of its change from the base, made once.

    Sums are in float32 and stored in the checkpoint's dtype. A share of 1 is the checkpoint itself.

    Args:
        base: What the checkpoint was trained from.
        trained: The checkpoint.
        share: Above 0, at most 1.

    Raises:
        TrainingError: The checkpoint is of another base, or the share is out of bounds.
    """
    if trained.parent != base.digest or not 0 < share <= 1:
        what = f"the share is {share:g}" if trained.parent == base.digest else "the base is another"
        raise TrainingError(
            f"the checkpoint can't be blended: {what}.",
            where=trained.name,
            fix="give its own base, and a share in (0, 1].",
        )
    if share == 1:
        return trained
    key = stage_key(
        "blend",
        {"base": base.digest, "trained": trained.digest, "share": share},
        __name__,
    )
    folder = home("checkpoints", key[:32])
    if (done := find(folder, Checkpoint)) is not None:
        return done
    with building(folder) as aside:
        keep = shutil.ignore_patterns("adapter", "manifest.json", "*.safetensors")
        shutil.copytree(trained.path, aside, dirs_exist_ok=True, ignore=keep)
        _write(base.path, trained.path, aside, share)
        receipt = trained.model_copy(
            update={
                "path": folder,
                "digest": weights_digest(aside),
                "adapter_digest": "",
                "name": f"{trained.name}-{share:g}",
            }
        )
        return commit(aside, receipt)


def _write(base: Path, trained: Path, out: Path, share: float) -> None:
    from safetensors import safe_open
    from safetensors.torch import save_file

    known = {}
    for file in weight_files(base):
        with safe_open(file, framework="pt") as stored:
            known.update(dict.fromkeys(stored.keys(), file))
    for file in weight_files(trained):
        with safe_open(file, framework="pt") as stored:
            made = {
                name: _between(known, name, stored.get_tensor(name), share)
                for name in stored.keys()  # noqa: SIM118 (not a mapping)
            }
        save_file(made, out / file.name, metadata={"format": "pt"})


def _between(known: dict[str, Path], name: str, learnt: Any, share: float) -> Any:
    from safetensors import safe_open

    if name not in known:
        raise TrainingError(
            f"the base has no weight named {name}.",
            where="training.blend",
            fix="leave blend out: the models differ in more than their weights.",
        )
    with safe_open(known[name], framework="pt") as stored:
        first = stored.get_tensor(name).float()
    return (first + share * (learnt.float() - first)).to(learnt.dtype).contiguous()
