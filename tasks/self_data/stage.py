"""What the base model writes to be trained on: rehearsal, or a source in its own words."""

from typing import assert_never, overload

from tasks.artifacts import CleanSource, LocalModel, Snapshot
from tasks.progress import Progress
from tasks.self_data.rehearsal import RehearsalRequest, make_rehearsal
from tasks.self_data.rewriting import RewritingRequest, rewrite_source


@overload
def make_self_data(
    request: RehearsalRequest, model: LocalModel, progress: Progress | None = None
) -> Snapshot: ...


@overload
def make_self_data(
    request: RewritingRequest, model: LocalModel, progress: Progress | None = None
) -> CleanSource: ...


def make_self_data(
    request: RehearsalRequest | RewritingRequest,
    model: LocalModel,
    progress: Progress | None = None,
) -> Snapshot | CleanSource:
    """Return what the base model was asked to write, made now or found from before.

    Args:
        request: New rows of its own (a snapshot, before quality), or the targets of a source that
            is clean already in its own words (again a clean source).
        model: The base model.
        progress: Called with what is done and all there is to do.

    Raises:
        SourceError: Nothing that it writes can be used.
    """
    match request:
        case RehearsalRequest():
            return make_rehearsal(request, model, progress)
        case RewritingRequest():
            return rewrite_source(request, model, progress)
        case _:
            assert_never(request)
