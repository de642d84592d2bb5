"""Where a training job runs; it changes how fast the weights come, not which."""

from typing import Annotated

from pydantic import Field

from configs.local_backend import LocalBackend
from configs.nova import NovaBackend
from configs.remote import SagemakerBackend, WorkPoolBackend

Backend = Annotated[
    LocalBackend | SagemakerBackend | NovaBackend | WorkPoolBackend, Field(discriminator="kind")
]
