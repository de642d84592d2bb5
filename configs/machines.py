"""What the common SageMaker machines have, from their names and a table."""

from typing import NamedTuple

GIB = 1 << 30


class Machine(NamedTuple):
    """One instance.

    Attributes:
        gpus: Number of GPUs; 0 on a CPU machine.
        gpu_gib: Memory of one GPU, GiB.
        cpus: Virtual CPUs.
        ram_gib: Memory of the machine, GiB.
        tflops: Dense bfloat16 (float16 on T4, V100) peak of one GPU by its data sheet, 10^12/s.
    """

    gpus: int
    gpu_gib: int
    cpus: int
    ram_gib: int
    tflops: float


# Vendor's data sheets: T4 65 (fp16), A10G 70 (half the sheet's sparse 140), L4 121, L40S 362,
# V100 125 (fp16), A100 312, H100 and H200 SXM 989. GPU memory as the service lists it.
MACHINES: dict[str, Machine] = {
    "ml.m5.large": Machine(0, 0, 2, 8, 0.0),
    "ml.m5.xlarge": Machine(0, 0, 4, 16, 0.0),
    "ml.m5.2xlarge": Machine(0, 0, 8, 32, 0.0),
    "ml.m5.4xlarge": Machine(0, 0, 16, 64, 0.0),
    "ml.m5.12xlarge": Machine(0, 0, 48, 192, 0.0),
    "ml.m5.24xlarge": Machine(0, 0, 96, 384, 0.0),
    "ml.c5.xlarge": Machine(0, 0, 4, 8, 0.0),
    "ml.c5.2xlarge": Machine(0, 0, 8, 16, 0.0),
    "ml.c5.4xlarge": Machine(0, 0, 16, 32, 0.0),
    "ml.c5.9xlarge": Machine(0, 0, 36, 72, 0.0),
    "ml.c5.18xlarge": Machine(0, 0, 72, 144, 0.0),
    "ml.g4dn.xlarge": Machine(1, 16, 4, 16, 65.0),
    "ml.g4dn.2xlarge": Machine(1, 16, 8, 32, 65.0),
    "ml.g4dn.12xlarge": Machine(4, 16, 48, 192, 65.0),
    "ml.g5.xlarge": Machine(1, 24, 4, 16, 70.0),
    "ml.g5.2xlarge": Machine(1, 24, 8, 32, 70.0),
    "ml.g5.4xlarge": Machine(1, 24, 16, 64, 70.0),
    "ml.g5.8xlarge": Machine(1, 24, 32, 128, 70.0),
    "ml.g5.12xlarge": Machine(4, 24, 48, 192, 70.0),
    "ml.g5.24xlarge": Machine(4, 24, 96, 384, 70.0),
    "ml.g5.48xlarge": Machine(8, 24, 192, 768, 70.0),
    "ml.g6.xlarge": Machine(1, 24, 4, 16, 121.0),
    "ml.g6.2xlarge": Machine(1, 24, 8, 32, 121.0),
    "ml.g6.12xlarge": Machine(4, 24, 48, 192, 121.0),
    "ml.g6.48xlarge": Machine(8, 24, 192, 768, 121.0),
    "ml.g6e.xlarge": Machine(1, 48, 4, 32, 362.0),
    "ml.g6e.2xlarge": Machine(1, 48, 8, 64, 362.0),
    "ml.g6e.12xlarge": Machine(4, 48, 48, 384, 362.0),
    "ml.g6e.48xlarge": Machine(8, 48, 192, 1536, 362.0),
    "ml.p3.2xlarge": Machine(1, 16, 8, 61, 125.0),
    "ml.p3.8xlarge": Machine(4, 16, 32, 244, 125.0),
    "ml.p3.16xlarge": Machine(8, 16, 64, 488, 125.0),
    "ml.p4d.24xlarge": Machine(8, 40, 96, 1152, 312.0),
    "ml.p4de.24xlarge": Machine(8, 80, 96, 1152, 312.0),
    "ml.p5.4xlarge": Machine(1, 80, 16, 256, 989.0),
    "ml.p5.48xlarge": Machine(8, 80, 192, 2048, 989.0),
    "ml.p5e.48xlarge": Machine(8, 141, 192, 2048, 989.0),
    "ml.p5en.48xlarge": Machine(8, 141, 192, 2048, 989.0),
}

_GPU_FAMILIES = ("g", "p")
# Families with instance store: their volume's size is fixed and takes no key of the user's.
_LOCAL_DISK = (
    "g4dn",
    "g5",
    "g6",
    "g6e",
    "g7",
    "g7e",
    "p3dn",
    "p4d",
    "p4de",
    "p5",
    "p5e",
    "p5en",
    "p6-b200",
    "p6-b300",
    "p6e-gb200",
    "trn1",
    "trn1n",
    "trn2",
    "r5d",
)


def family(instance_type: str) -> str:
    """Return the part of ``ml.FAMILY.SIZE`` that names the hardware."""
    return instance_type.split(".")[1]


def is_gpu(instance_type: str) -> bool:
    """Return whether the machine has NVIDIA GPUs."""
    return family(instance_type).startswith(_GPU_FAMILIES)


def has_local_disk(instance_type: str) -> bool:
    """Return whether the machine's volume is a disk of its own."""
    return family(instance_type) in _LOCAL_DISK
