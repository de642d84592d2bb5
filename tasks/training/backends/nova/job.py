"""What is asked of Nova's service: the compiled recipe and the rows of the customer's own."""

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.nova import NovaBackend
from configs.nova_ignored import HYPERPOD, SERVERLESS
from configs.recipe import Recipe
from tasks.errors import DataError
from tasks.storage import digest_of, home
from tasks.training.backends.nova.mixing import NovaMix, mix_of

CHANNEL = "train.jsonl"
SERVERLESS_ROWS = (200, 20_000)
"""Least and most rows of supervised fine-tuning of Nova 2 Lite on serverless machines."""


class Rows(NamedTuple):
    """The customer's rows as JSONL.

    Attributes:
        digest: SHA-256 of the file.
        file: On this machine.
        rows: Lines.
    """

    digest: str
    file: Path
    rows: int


class NovaJob(NamedTuple):
    """One training of a Nova model.

    Attributes:
        key: Digest of everything that changes the weights; placement is not part of it.
        mix: How Nova's data is mixed in; None when it isn't.
        steps: Optimiser steps.
    """

    key: str
    name: str
    backend: NovaBackend
    mix: NovaMix | None
    rows: Rows
    steps: int

    @property
    def folder(self) -> Path:
        """The job's folder on this machine."""
        return home("jobs", self.key[:32])


def nova_job(recipe: Recipe, rows: Rows) -> NovaJob:
    """Return the job of a recipe whose own rows are ready.

    Raises:
        DataError: Too few or too many rows for the service.
    """
    backend = recipe.training.backend
    assert isinstance(backend, NovaBackend)
    check_rows(rows.rows, backend)
    mix = mix_of(recipe)
    steps = backend.max_steps or steps_of(rows.rows, mix, backend)
    placement = {
        "hyperpod",
        "kms_key",
        "vpc",
        "tags",
        "max_runtime_hours",
        "patience_minutes",
        "dry_run",
        "region",
        "mlflow_arn",
        "model_package_group",
        "accept_eula",
        "max_steps",
    }
    key = digest_of(
        {
            # What one runtime leaves the other can't use.
            "kind": "nova",
            "hyperpod": backend.hyperpod is not None,
            "rows": rows.digest,
            "steps": steps,
            "mix": None if mix is None else mix.flat(),
            "backend": backend.model_dump(mode="json", exclude=placement | unsent(backend, mix)),
        }
    )
    return NovaJob(key, recipe.name, backend, mix, rows, steps)


def unsent(backend: NovaBackend, mix: NovaMix | None) -> set[str]:
    """Return the options that the job's request has no place for; they are not in its key."""
    # The modality says which of Nova's data there are, and nothing else.
    found = set() if mix else {"modality"}
    if backend.hyperpod is None:
        return found | set(SERVERLESS)
    alpha = backend.method == "sft" and backend.peft == "lora"
    return found | set(HYPERPOD) | (set() if alpha else {"lora_alpha"})


def steps_of(rows: int, mix: NovaMix | None, backend: NovaBackend) -> int:
    """Return the steps of one pass: the customer's rows, and Nova's in proportion to them."""
    share = 1.0 if mix is None else max(float(mix.customer) / 100, 1e-9)
    return max(4, -(-round(rows / share) // backend.global_batch_size))


def check_rows(rows: int, backend: NovaBackend) -> None:
    """Refuse a number of rows that the service would.

    Raises:
        DataError: With the bounds.
    """
    if backend.hyperpod is not None:
        least, most = int(backend.global_batch_size), 10**9
    else:
        least, most = SERVERLESS_ROWS
    if not least <= rows <= most:
        raise DataError(
            f"{rows:,} rows of your own are outside what the service takes ({least:,} to "
            f"{most:,}).",
            where="mixture.size",
            fix="change the size, or give more data.",
        )


def identity(backend: NovaBackend, model: str | None) -> str:
    """Return what stands for a Nova model's weights, which can't be seen; the base's for None."""
    return digest_of(["nova", backend.model, backend.model_version, model])


class NovaModelReceipt(BaseModel):
    """A trained Nova model; its weights stay with AWS.

    Attributes:
        model: ARN of the model package, or the S3 address of a HyperPod checkpoint.
        job: The service's name of the job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    key: str
    job: str
    model: str
    base: str
    steps: int
    rows: int
    customer_percent: float
    output: str
