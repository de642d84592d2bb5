"""Where a flow's mapped tasks run: threads here, or the processes of a Dask or Ray cluster."""

from importlib.util import find_spec
from typing import Any

from configs.errors import SetupError
from configs.settings import Settings

EXTRA = {"dask": "prefect_dask", "ray": "prefect_ray"}


def task_runner() -> Any:
    """Return the task runner that TEMPER_RUNNER names.

    ``DASK_ADDRESS`` or ``RAY_ADDRESS`` joins a running cluster; without it one of TEMPER_WORKERS
    processes is started on this machine. Every worker must see TEMPER_HOME under the same path.

    Raises:
        SetupError: The runner's package isn't installed.
    """
    settings = Settings()
    if settings.runner == "threads":
        from prefect.task_runners import ThreadPoolTaskRunner

        return ThreadPoolTaskRunner()
    module = EXTRA[settings.runner]
    if find_spec(module) is None:
        raise SetupError(
            f"TEMPER_RUNNER is '{settings.runner}', and {module} can't be imported.",
            where="this environment",
            fix=f"pip install 'temper-llm[{settings.runner}]'",
        )
    return _dask(settings) if settings.runner == "dask" else _ray(settings)


def _dask(settings: Settings) -> Any:
    from prefect_dask import DaskTaskRunner

    if settings.dask_address:
        return DaskTaskRunner(address=settings.dask_address)
    # One thread a process: the stages use threads of their own where it helps.
    return DaskTaskRunner(
        cluster_kwargs={
            "n_workers": settings.workers,
            "threads_per_worker": 1,
            "processes": True,
            "dashboard_address": None,
        }
    )


def _ray(settings: Settings) -> Any:
    from prefect_ray import RayTaskRunner

    if settings.ray_address:
        return RayTaskRunner(address=settings.ray_address)
    return RayTaskRunner(init_kwargs={"num_cpus": settings.workers, "include_dashboard": False})
