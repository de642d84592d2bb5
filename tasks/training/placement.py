"""How our trainer is placed on the machine that a backend gives it."""

from configs.backends import Backend, LocalBackend
from configs.remote_backends import SagemakerBackend, WorkPoolBackend


def place_trainer(backend: Backend) -> LocalBackend:
    """Return how our trainer is placed on the machine that a backend gives it.

    Raises:
        ValueError: The backend's service has a trainer of its own.
    """
    match backend:
        case LocalBackend():
            return backend
        case SagemakerBackend():
            return LocalBackend(threads=backend.threads, sharding=backend.sharding)
        case WorkPoolBackend():
            return LocalBackend(threads=backend.threads)
        case _:
            raise ValueError(f"backend {backend.kind} has a trainer of its own")
