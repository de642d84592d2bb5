"""One training on the machine of a work pool's worker; started by the work_pool backend."""

from prefect import flow
from prefect.runtime import flow_run

from tasks.training.backends.local import LocalProcess
from tasks.training.backends.work_pool.worker import fetch_job, publish_metrics, publish_result
from tasks.training.progress_view import Views, watch_job

TELL_SECONDS = 30.0
"""From one copy of the metrics stream in the store to the next."""


@flow(name="train-job")
def train_job(key: str, parts: dict[str, str], store: str, threads: int | None = None) -> str:
    """Train from published parts and publish the result; return its address.

    Args:
        key: The training's key.
        parts: Address of each part in the store.
        store: TEMPER_STORE of whoever asks.
        threads: CPU threads; all when absent.
    """
    job = fetch_job(parts, threads)
    assert job.key == key
    process, run_id = LocalProcess(), str(flow_run.get_id())
    views = Views([lambda _: publish_metrics(job, run_id, store)], TELL_SECONDS)
    watch_job(process, process.submit(job), views)
    return publish_result(job, run_id, store)
