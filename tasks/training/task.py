"""Prefect shells of the training stage: submit and wait are two tasks."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.artifacts import Checkpoint, LocalModel
from tasks.training.job import JobHandle, TrainingJob


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="submit the training")
def submit_training(job: TrainingJob) -> JobHandle:
    """Start the job on its backend, or find it where it already runs."""
    from tasks.training.backend import open_backend

    return open_backend(job.training.backend).submit(job)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="wait for the training")
def wait_for_training(job: TrainingJob, handle: JobHandle) -> Checkpoint:
    """Watch the job to its end and take its checkpoint."""
    from tasks.training.wait import wait

    return wait(job, handle)


@task(persist_result=True, cache_policy=NO_CACHE, task_run_name="keep {share} of what was learnt")
def blend_weights(base: LocalModel, trained: Checkpoint, share: float) -> Checkpoint:
    """Interpolate between the base and the checkpoint; a share of 1 is the checkpoint."""
    from tasks.training.blend import blended

    return blended(base, trained, share)
