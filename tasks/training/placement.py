"""How our trainer is placed on the machine that a backend gives it."""

from configs.backends import Backend, LocalBackend
from configs.nova import NovaBackend


def place_trainer(backend: Backend) -> LocalBackend:
    """Return how our trainer is placed on the machine that a backend gives it.

    Raises:
        ValueError: The backend's service has a trainer of its own.
    """
    if isinstance(backend, LocalBackend):
        return backend
    if isinstance(backend, NovaBackend):
        raise ValueError(f"backend {backend.kind} has a trainer of its own")
    return LocalBackend(threads=backend.threads, sharding=getattr(backend, "sharding", "none"))
