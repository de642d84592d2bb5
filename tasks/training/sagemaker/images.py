"""Which of AWS's PyTorch training containers a job uses."""

from configs.machines import is_gpu
from configs.remote import SagemakerBackend
from tasks.errors import SetupError

ACCOUNT = "763104351884"
"""The account that serves AWS's deep learning containers in most regions."""

ACCOUNTS = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}
"""Accounts of the regions that have one of their own."""

VERSIONS = {
    "2.5": ("2.5.1", "py311"),
    "2.6": ("2.6.0", "py312"),
    "2.7": ("2.7.1", "py312"),
    "2.8": ("2.8.0", "py312"),
    "2.9": ("2.9.0", "py312"),
    "2.10": ("2.10.0", "py313"),
}
"""Version of PyTorch -> the container's tag and its Python."""


def image_of(backend: SagemakerBackend, region: str) -> str:
    """Return the URI of the job's container image.

    Raises:
        SetupError: AWS serves no container of that version, or none that we know in the region.
    """
    if backend.image:
        return backend.image
    if backend.pytorch not in VERSIONS:
        raise SetupError(
            f"there is no container of PyTorch {backend.pytorch}.",
            where="training.backend.pytorch",
            fix=f"use one of {', '.join(VERSIONS)}; or give image:.",
        )
    if region.startswith(("us-iso", "eu-iso", "eusc")):
        raise SetupError(
            f"the containers of {region} have addresses of their own.",
            where="training.backend.image",
            fix="give the image's URI.",
        )
    version, python = VERSIONS[backend.pytorch]
    hardware = "gpu" if is_gpu(backend.instance_type) else "cpu"
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    account = ACCOUNTS.get(region, ACCOUNT)
    return f"{account}.dkr.ecr.{region}.{suffix}/pytorch-training:{version}-{hardware}-{python}"
