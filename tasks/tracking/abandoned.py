"""Runs that seem to go on, and don't: their process was killed and could not end them."""

from typing import Any

from tasks.storage import is_gone

PROCESS = "temper.process"
"""Tag of a run: the process that writes to it."""


def end_abandoned(client: Any, experiment: str) -> None:
    """Mark an experiment's running runs as killed where a process of this machine had them.

    Args:
        client: MLflow's.
        experiment: Its id.
    """
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        if is_gone(run.data.tags.get(PROCESS, "")):
            client.set_terminated(run.info.run_id, "KILLED")
