"""Rules of mixing Nova's data in that a recipe can be held to before anything is asked of AWS."""

from collections.abc import Sequence

from configs.evaluation import NovaBenchmarkSuite, Suite
from configs.nova import NovaBackend
from configs.nova_ignored import check_ignored
from configs.sources import NovaSource, RehearsalSource, Source
from configs.stages import Mixture, Training


def check_nova(sources: Sequence[Source], mixture: Mixture, training: Training) -> None:
    """Refuse sources and mixtures that Nova's service can't be asked for.

    Raises:
        ValueError: With the place in the recipe, ``@sources.1.category: ...``.
    """
    theirs = [(i, s) for i, s in enumerate(sources) if isinstance(s, NovaSource)]
    backend = training.backend
    if not isinstance(backend, NovaBackend):
        if theirs:
            raise ValueError(
                f"@sources.{theirs[0][0]}.kind: Nova's data is mixed in by its own "
                "service alone. Fix: set training.backend.kind: nova, or take the "
                "source out."
            )
        return
    _check_method(training, backend)
    check_ignored(training, backend)
    _check_mixture(mixture, bool(theirs))
    for i, source in enumerate(sources):
        if isinstance(source, RehearsalSource):
            raise ValueError(
                f"@sources.{i}.kind: Nova's weights can't be asked to rehearse here. "
                "Fix: use kind: nova sources for general data."
            )
    _check_categories(theirs, backend)


def check_benchmarks(suites: Sequence[Suite], training: Training) -> None:
    """Refuse Nova's own benchmarks where no Nova model is trained.

    Raises:
        ValueError: With the place in the recipe.
    """
    theirs = [i for i, s in enumerate(suites) if isinstance(s, NovaBenchmarkSuite)]
    if theirs and not isinstance(training.backend, NovaBackend):
        raise ValueError(
            f"@evaluation.suites.{theirs[0]}.kind: only Nova's evaluator asks this, "
            "and of Nova's models alone. Fix: take the suite out, or set "
            "training.backend.kind: nova."
        )


def _check_method(training: Training, backend: NovaBackend) -> None:
    if training.method != backend.method:
        raise ValueError(
            f"@training.backend.method: it is {backend.method}, and training.method is "
            f"{training.method}. Fix: give both the same; Nova is trained by sft or cpt here."
        )
    if training.adapter is None and backend.peft == "lora":
        raise ValueError(
            "@training.backend.peft: adapter: null asks for all parameters. "
            "Fix: set peft: full, or take adapter: null out."
        )


def _check_mixture(mixture: Mixture, mixed: bool) -> None:
    if mixture.schedule:
        raise ValueError(
            "@mixture.schedule: Nova mixes by one set of shares. Fix: give domain_share instead."
        )
    if mixed and mixture.unit != "rows":
        raise ValueError("@mixture.unit: Nova mixes by rows. Fix: set unit: rows.")
    if mixed and mixture.weight_from == "size":
        raise ValueError(
            "@mixture.weight_from: nobody knows the size of Nova's data. "
            "Fix: set weight_from: weight."
        )
    if mixed and mixture.domain_share == 1:
        raise ValueError(
            "@mixture.domain_share: at 1 nothing of Nova's data is used. "
            "Fix: lower it, or take the kind: nova sources out."
        )


def _check_categories(theirs: Sequence[tuple[int, NovaSource]], backend: NovaBackend) -> None:
    known, seen = backend.data_categories, set[str]()
    for i, source in theirs:
        if source.category is None:
            if len(theirs) > 1:
                raise ValueError(
                    f"@sources.{i}.category: AWS's default mix can't be mixed with "
                    "named categories. Fix: name one, or keep this source alone.",
                )
        elif source.category not in known:
            raise ValueError(
                f"@sources.{i}.category: {backend.model} ({backend.modality}, {backend.method}) "
                f"has no category '{source.category}'. Fix: use one of {', '.join(known)}."
            )
        elif source.category in seen:
            raise ValueError(
                f"@sources.{i}.category: '{source.category}' is there twice. "
                "Fix: add the weights in one source."
            )
        seen.add(source.category or "")
    if (
        theirs
        and backend.hyperpod is None
        and (backend.model != "nova-textgeneration-lite-v2" or backend.modality != "text")
    ):
        raise ValueError(
            f"@sources.{theirs[0][0]}.kind: serverless jobs mix data in for Nova 2 Lite on text "
            "alone. Fix: add hyperpod: {cluster: NAME} to the backend."
        )
