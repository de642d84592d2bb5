"""A machine's ``/opt/ml``: laid out from the request, its checkpoints kept in step with S3."""

import json
from pathlib import Path
from typing import Any

from tasks.store.places import S3Store

Request = dict[str, Any]


def hosts_of(request: Request) -> list[str]:
    """Return the names of a job's machines, as the service names them."""
    count = request["ResourceConfig"].get("InstanceCount", 1)
    return [f"algo-{i}" for i in range(1, count + 1)]


def lay_out(request: Request, ml: Path, name: str, host: str) -> None:
    """Make the contract's folders, download every channel and write the configuration.

    Args:
        request: The job's.
        ml: What is to be ``/opt/ml`` on that machine.
        name: The job's.
        host: Which of its machines it is.
    """
    for folder in ("input/config", "input/data", "model", "output/data", "checkpoints"):
        (ml / folder).mkdir(parents=True, exist_ok=True)
    channels = request.get("InputDataConfig", [])
    for channel in channels:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        _download(uri, ml / "input" / "data" / channel["ChannelName"])
    kind, hosts = request["ResourceConfig"]["InstanceType"], hosts_of(request)
    group = {"instance_group_name": "homogeneousCluster", "instance_type": kind, "hosts": hosts}
    config = {
        "hyperparameters": request.get("HyperParameters", {}),
        "inputdataconfig": {
            c["ChannelName"]: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
            }
            for c in channels
        },
        "resourceconfig": {
            "current_host": host,
            "hosts": hosts,
            "current_instance_type": kind,
            "current_group_name": "homogeneousCluster",
            "instance_groups": [group],
            "network_interface_name": "lo",
        },
        "trainingjobconfig": {"TrainingJobName": name},
    }
    for file, content in config.items():
        (ml / "input" / "config" / f"{file}.json").write_text(json.dumps(content))


def restore(request: Request, ml: Path) -> None:
    """Bring the checkpoints of earlier machines."""
    config = request.get("CheckpointConfig")
    if config:
        _download(config["S3Uri"], ml / "checkpoints")


def sync(request: Request, ml: Path) -> None:
    """Upload checkpoint files that are new or have changed; what is gone here stays in S3."""
    config = request.get("CheckpointConfig")
    if not config:
        return
    place, folder = S3Store(config["S3Uri"]), ml / "checkpoints"
    there = place.sizes("")
    known = ml.with_name(f"{ml.name}-synced.json")
    stamps: dict[str, float] = json.loads(known.read_text()) if known.is_file() else {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        key = str(path.relative_to(folder))
        try:
            stat = path.stat()
            if there.get(key) != stat.st_size or stamps.get(key) != stat.st_mtime:
                place.put(key, path)
                stamps[key] = stat.st_mtime
        except FileNotFoundError:  # the trainer drops its older states as it goes
            continue
    known.write_text(json.dumps(stamps))


def _download(uri: str, folder: Path) -> None:
    place = S3Store(uri)
    folder.mkdir(parents=True, exist_ok=True)
    for key in place.sizes(""):
        target = folder / key.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        place.get(key.lstrip("/"), target)
