"""Where a training job runs; it changes how fast the weights come, not which."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt

from configs.nova import NovaBackend
from configs.remote_backends import SagemakerBackend, WorkPoolBackend
from configs.section import Section


class LocalBackend(Section):
    """This machine: one process, or several that share each optimiser step.

    Where there are accelerators the default is one process for each of them; on a CPU it is one.
    """

    dry_run: ClassVar[bool] = False
    kind: Literal["local"] = "local"
    threads: PositiveInt | None = Field(None, description="CPU threads a process; all when absent")
    processes: PositiveInt | None = Field(
        None, description="that share a step; one for each GPU (one on a CPU) when absent"
    )
    sharding: Literal["none", "fsdp"] = Field(
        "none", description="fsdp: weights and optimiser are split over GPUs; refused without them"
    )


Backend = Annotated[
    LocalBackend | SagemakerBackend | NovaBackend | WorkPoolBackend, Field(discriminator="kind")
]
