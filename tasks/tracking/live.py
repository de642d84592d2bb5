"""The losses of a training that goes on, in its MLflow run."""

from pathlib import Path

from configs.settings import Settings
from tasks.tracking.losses import records_after


class LiveLosses:
    """Logs a metrics stream into a run as it grows, each step once.

    Where to go on is asked of MLflow, so a run that is resumed after a kill, or a request that
    failed half way, repeats nothing and leaves nothing out.

    Args:
        run_id: The MLflow run.
        settings: Where MLflow is; from the environment when absent.
    """

    def __init__(self, run_id: str, settings: Settings | None = None) -> None:
        self._run_id, self._settings = run_id, settings
        self._last: float | None = None

    def __call__(self, stream: Path) -> None:
        """Log what is new in the stream; nothing where it isn't there yet.

        Raises:
            SetupError: MLflow can't be reached; the next call tries again.
        """
        from tasks.tracking.mlflow_run import Run, explained

        settings = self._settings or Settings()
        known, self._last = self._last, None
        with explained(settings):
            run = Run(self._run_id, settings)
            last = run.last_step() if known is None else known
            new = records_after(stream, last)
            run.log_records(new)
        self._last = new[-1]["step"] if new else last
