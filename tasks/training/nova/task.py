"""Prefect shells of Nova's training: submit and wait are two tasks."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.training.nova.job import NovaJob, NovaModelReceipt


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="submit the Nova training")
def submit_nova(job: NovaJob) -> str:
    """Start the job at the service, or find it where it already runs."""
    from tasks.training.nova.jobs import NovaJobs

    return NovaJobs(job).submit()


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="wait for the Nova training")
def wait_for_nova(job: NovaJob, name: str) -> NovaModelReceipt:
    """Watch the job to its end."""
    from tasks.training.nova.jobs import NovaJobs

    return NovaJobs(job).wait(name)
