"""Prefect's side of a work pool: runs of a deployment, made once, read, and stopped."""

from typing import Any, NamedTuple
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling

from tasks.errors import SetupError

_STATES = {
    StateType.COMPLETED: "completed",
    StateType.FAILED: "failed",
    StateType.CRASHED: "failed",
    StateType.CANCELLED: "failed",
}


class PoolRun(NamedTuple):
    """One run of the deployment.

    Attributes:
        state: ``running``, ``completed`` or ``failed``.
        says: Prefect's name of the state and its message.
    """

    id: str
    state: str
    says: str


def start_run(deployment: str, parameters: dict[str, Any], key: str) -> PoolRun:
    """Return the run of that key: made now, or found, since Prefect keeps a key to one run."""
    with get_client(sync_client=True) as client:
        try:
            found = client.read_deployment_by_name(deployment)
        except ObjectNotFound as error:
            raise SetupError(
                "the Prefect server has no such deployment.",
                where=deployment,
                fix="prefect deploy --prefect-file infra/prefect.yaml --name train-job",
            ) from error
        run = client.create_flow_run_from_deployment(
            found.id, parameters=parameters, idempotency_key=key, name=f"train {key[:12]}"
        )
        return _run(run)


def read_run(run_id: str) -> PoolRun:
    """Return where a run stands."""
    with get_client(sync_client=True) as client:
        return _run(client.read_flow_run(UUID(run_id)))


def cancel_run(run_id: str) -> None:
    """Have the worker stop a run; one that has ended stays as it is."""
    with get_client(sync_client=True) as client:
        if _run(client.read_flow_run(UUID(run_id))).state == "running":
            client.set_flow_run_state(UUID(run_id), Cancelling())


def _run(run: Any) -> PoolRun:
    state = run.state
    word = _STATES.get(state.type, "running") if state else "running"
    says = f"{state.name}: {state.message or ''}".rstrip(": ") if state else "Scheduled"
    return PoolRun(str(run.id), word, says)
