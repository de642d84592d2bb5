"""A plain folder that transformers and vLLM load, with its card."""

import json
import shutil
from pathlib import Path

from tasks.deploying.card import Release, model_card, model_files, verify
from tasks.errors import DataError, StorageError
from tasks.models.identity import GENERATION, weights_digest
from tasks.models.stops import generation_settings
from tasks.storage import building, write_text

CARD, EVIDENCE = "README.md", "temper.json"


def deploy_folder(release: Release, out: Path) -> Path:
    """Write the model to a new folder and return it; it appears whole or not at all.

    Raises:
        DataError: The folder isn't empty.
        StorageError: The checkpoint isn't what was evaluated, or the copy isn't the checkpoint.
    """
    out = out.expanduser().resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError("the folder is not empty.", where=f"--out {out}", fix="name a new one.")
    verify(release)
    with building(out) as aside:
        for name, file in model_files(release.model.path).items():
            shutil.copyfile(file, aside / name)
        settings = generation_settings(release.model.path, release.model.chat)
        write_text(aside / GENERATION, json.dumps(settings, indent=1))
        write_text(aside / CARD, model_card(release))
        write_text(aside / EVIDENCE, json.dumps(evidence(release), indent=1))
        if weights_digest(aside) != release.model.digest:
            raise StorageError(
                "the copy isn't what was evaluated.",
                where=str(out),
                fix="look at the disk, and deploy again.",
            )
        if out.exists():
            out.rmdir()
        aside.rename(out)
    return out


def evidence(release: Release) -> dict[str, object]:
    """Return what a program needs to check the folder: digests, scores and gates."""
    model = release.model
    return {
        "run_id": release.run_id,
        "recipe_digest": release.recipe_digest,
        "verdict": release.verdict,
        "waiver": release.waiver,
        "weights_digest": model.digest,
        "tokenizer_digest": model.tokenizer_digest,
        "base_digest": model.parent,
        "mixture_digest": release.lock["mixture_digest"],
        "scores": {name: s.model_dump() for name, s in release.candidate.items()},
        "gates": [g.model_dump(mode="json") for g in release.gates],
    }
