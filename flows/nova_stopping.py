"""Nova's jobs are paid for while they run: what a run leaves behind when it breaks off."""

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import TrainingError, Unreachable
from tasks.training.backends.nova.service import NovaWork

Running = dict[str, NovaWork]
"""Jobs that were submitted and not yet seen to end, by the service's names."""


@contextmanager
def stopped_on_break() -> Iterator[Running]:
    """Give an empty collection; what is in it when the body breaks off is stopped.

    Not so where AWS doesn't answer: such jobs go on, and the next run finds them.

    Raises:
        TrainingError: A job could not be stopped and may go on; what broke the body off is its
            cause.
    """
    running: Running = {}
    try:
        yield running
    except Unreachable:
        raise
    except BaseException as error:
        left = [f"{name} ({why.rstrip('.')})" for name, why in _stopped(running)]
        if left:
            raise TrainingError(
                f"the run broke off ({error!r:.300}), and jobs could not be stopped: "
                f"{'; '.join(left)}.",
                where="the service's list of jobs",
                fix="stop them there, or run again: they are found as long as they run.",
            ) from error
        raise


def _stopped(running: Running) -> Iterator[tuple[str, str]]:
    """Stop every job, and yield those that can't be stopped, with the reason."""
    for name, work in list(running.items()):
        try:
            work.cancel(name)
        except Exception as error:  # whatever it is, the others are still to be stopped
            yield name, str(error)
