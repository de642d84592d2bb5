"""Where a training job runs; it changes how fast the weights come, not which."""

from typing import Annotated

from pydantic import Field

from configs.local_backend import LocalBackend

Backend = Annotated[LocalBackend, Field()]
