"""The backend that is this machine."""

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.section import Section


class LocalBackend(Section):
    """This machine: one process, or several that share each optimiser step.

    Where there are accelerators the default is one process for each of them; on a CPU it is one.
    """

    kind: Literal["local"] = "local"
    dry_run: ClassVar[bool] = False
    threads: PositiveInt | None = Field(None, description="CPU threads a process; all when absent")
    processes: PositiveInt | None = Field(
        None, description="that share a step; one for each GPU (one on a CPU) when absent"
    )
    sharding: Literal["none", "fsdp"] = Field(
        "none", description="fsdp: weights and optimiser are split over GPUs; refused without them"
    )
