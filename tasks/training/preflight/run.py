"""What backends look at before a job is submitted: it never costs money and writes nothing.

Each backend's ``check`` (:mod:`tasks.training.backends`) is one of these.
"""

from configs.nova import NovaBackend
from configs.prices import read_prices
from configs.remote_backends import SagemakerBackend
from configs.settings import Settings
from configs.training import Training
from tasks.artifacts import LocalModel
from tasks.errors import DataError, SetupError
from tasks.storage import home
from tasks.training.preflight import aws
from tasks.training.preflight.estimate import (
    Estimate,
    Load,
    Preflight,
    PreflightCheck,
    computes_in,
    estimate,
    place_of,
    size_of,
)

CERTAIN = 1.5
"""So far over what there is, a counted need is refused; below that the count may be off."""


def check_sagemaker(
    training: Training, model: LocalModel, load: Load, opening: aws.Opening | None = None
) -> Preflight:
    """Return what can be known before a SageMaker job is submitted.

    Args:
        training: The recipe's section.
        model: The base model; its size is read where its weights are here.
        load: Tokens and steps of the planned mixture.
        opening: Opens clients that read; for tests.
    """
    backend = training.backend
    assert isinstance(backend, SagemakerBackend)
    use = "spot training job usage" if backend.spot else "training job usage"
    quota = (f"{backend.instance_type} for {use}", backend.instance_count)
    reader = opening or aws.opening(backend.region)
    looks = aws.check_aws(backend.region, reader, quota if on_aws() else None)
    found, more = _sized(training, model, load)
    return Preflight(backend=backend.kind, looks=(*looks, *more), estimate=found)


def check_nova(backend: NovaBackend, rows: int, opening: aws.Opening | None = None) -> Preflight:
    """Return what can be known before a Nova job of so many rows is submitted."""
    found = check_account(backend, opening)
    return found.model_copy(update={"looks": (*found.looks, _dataset(rows, backend))})


def check_account(backend: NovaBackend, opening: aws.Opening | None = None) -> Preflight:
    """Return what can be known of the account alone: credentials, role, bucket."""
    reader = opening or aws.opening(backend.region)
    return Preflight(backend="nova", looks=tuple(aws.check_aws(backend.region, reader, None)))


def check_store() -> Preflight:
    """Return whether there is a store that a pool's workers read from."""
    return Preflight(backend="work_pool", looks=(_store(),))


def check_disk(model: LocalModel) -> Preflight:
    """Return whether this machine's disk has room for a job of the model."""
    return Preflight(backend="local", looks=(_disk(model),))


def refuse(found: Preflight) -> None:
    """Raise SetupError for the first thing that speaks against submitting."""
    look = found.first_refused()
    if look is not None:
        raise SetupError(
            look.says if look.says.endswith(".") else f"{look.says}.",
            where=f"preflight, {look.name}",
            fix=look.fix,
        )


def on_aws() -> bool:
    """Return whether jobs run on AWS, and not on the stand-in, which has room for one machine."""
    return Settings().sagemaker_standin is None


def _sized(
    training: Training, model: LocalModel, load: Load
) -> tuple[Estimate | None, list[PreflightCheck]]:
    from tasks.training.memory import dimensions
    from tasks.training.memory import estimate_memory as peak

    try:
        size = size_of(model.path)
        longest = min(training.sequence_length, size.positions or training.sequence_length)
        memory = peak(
            dimensions(model.path), training, computes_in(training), longest, place_of(training)
        ).total
    except SetupError as error:
        return None, [PreflightCheck(name="memory", state="unknown", says=error.message)]
    except AttributeError as error:  # a decoder of another kind, whose config names other sizes
        return None, [
            PreflightCheck(name="memory", state="unknown", says=f"it can't be counted: {error}")
        ]
    found = estimate(size, training, load, read_prices(), memory)
    return found, [_memory(training, found), _context(training, size.positions), _cost(found)]


def _memory(training: Training, found: Estimate) -> PreflightCheck:
    assert isinstance(training.backend, SagemakerBackend)
    kind = training.backend.instance_type
    need, have = found.memory_gib, found.available_gib
    if have is None:
        return PreflightCheck(
            name="memory",
            state="unknown",
            says=f"about {need:.1f} GiB; {kind} isn't in the table of machines",
        )
    says = f"about {need:.1f} GiB of {have:.1f} GiB ({kind})"
    fix = (
        "lower micro_batch_tokens, set gradient_checkpointing: true, use an adapter, or take a "
        "larger instance."
    )
    # What a GPU takes was never measured: its count warns and refuses nothing.
    if need > CERTAIN * have and not place_of(training).gpu:
        return PreflightCheck(name="memory", state="refused", says=f"{says} would not do.", fix=fix)
    if need > 0.8 * have:
        return PreflightCheck(name="memory", state="warn", says=f"{says} may not do.", fix=fix)
    return PreflightCheck(name="memory", state="ok", says=says)


def _context(training: Training, positions: int | None) -> PreflightCheck:
    length = training.sequence_length
    if positions is not None and length > positions:
        return PreflightCheck(
            name="context",
            state="refused",
            says=f"sequence_length {length} is over the model's {positions}.",
            fix=f"set training.sequence_length to {positions} or less.",
        )
    return PreflightCheck(
        name="context", state="ok", says=f"{length} of {positions or 'unknown'} positions"
    )


def _cost(found: Estimate) -> PreflightCheck:
    hours = f"about {found.hours:.2f} hours"
    if found.cost is None:
        return PreflightCheck(
            name="cost",
            state="unknown",
            says=f"{hours}; no price is known",
            fix="add the instance to a table of yours (TEMPER_PRICES).",
        )
    return PreflightCheck(
        name="cost",
        state="ok",
        says=f"{hours}, {found.cost:.2f} {found.currency} (" + "; ".join(found.assumptions) + ")",
    )


def _dataset(rows: int, backend: NovaBackend) -> PreflightCheck:
    from tasks.training.backends.nova.job import check_rows

    try:
        check_rows(rows, backend)
    except DataError as error:
        return PreflightCheck(name="rows", state="refused", says=error.message, fix=error.fix)
    return PreflightCheck(name="rows", state="ok", says=f"{rows:,} rows of your own")


def _store() -> PreflightCheck:
    from tasks.store.places import open_store

    try:
        return PreflightCheck(name="store", state="ok", says=open_store().uri())
    except SetupError as error:
        return PreflightCheck(name="store", state="refused", says=error.message, fix=error.fix)


def _disk(model: LocalModel) -> PreflightCheck:
    import shutil

    root = next(p for p in (home(), *home().parents) if p.exists())
    free = shutil.disk_usage(root).free
    size = sum(f.stat().st_size for f in model.path.glob("*.safetensors"))
    need = 4 * size
    if free < need:
        return PreflightCheck(
            name="disk",
            state="refused",
            says=f"{free >> 20} MiB are free below {root}, "
            f"and a job of this model takes about {need >> 20}.",
            fix="free some space, or set TEMPER_HOME to a larger disk.",
        )
    return PreflightCheck(name="disk", state="ok", says=f"{free >> 30} GiB free below {root}")
