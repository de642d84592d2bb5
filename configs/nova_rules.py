"""Rules of mixing Nova's data in that a recipe can be held to before anything is asked of AWS."""

from collections.abc import Sequence

from configs.evaluation import Suite
from configs.mixture import Mixture
from configs.nova import NovaBackend
from configs.nova_ignored import check_ignored
from configs.section import rule_error
from configs.sources import NovaSource, RehearsalSource, Source
from configs.suites.nova_benchmark import NovaBenchmarkSuite
from configs.training import Training


def check_nova(sources: Sequence[Source], mixture: Mixture, training: Training) -> None:
    """Refuse sources and mixtures that Nova's service can't be asked for.

    Raises:
        PydanticCustomError: With the path in the recipe.
    """
    theirs = [(i, s) for i, s in enumerate(sources) if isinstance(s, NovaSource)]
    backend = training.backend
    if not isinstance(backend, NovaBackend):
        if theirs:
            raise rule_error(
                "Nova's data is mixed in by its own service alone.",
                path=("sources", theirs[0][0], "kind"),
                fix="set training.backend.kind: nova, or take the source out.",
            )
        return
    _check_method(training, backend)
    check_ignored(training, backend)
    _check_mixture(mixture, bool(theirs))
    for i, source in enumerate(sources):
        if isinstance(source, RehearsalSource):
            raise rule_error(
                "Nova's weights can't be asked to rehearse here.",
                path=("sources", i, "kind"),
                fix="use kind: nova sources for general data.",
            )
    _check_categories(theirs, backend)


def check_benchmarks(suites: Sequence[Suite], training: Training) -> None:
    """Refuse Nova's own benchmarks where no Nova model is trained.

    Raises:
        PydanticCustomError: With the path in the recipe.
    """
    theirs = [i for i, s in enumerate(suites) if isinstance(s, NovaBenchmarkSuite)]
    if theirs and not isinstance(training.backend, NovaBackend):
        raise rule_error(
            "only Nova's evaluator asks this, and of Nova's models alone.",
            path=("evaluation", "suites", theirs[0], "kind"),
            fix="take the suite out, or set training.backend.kind: nova.",
        )


def _check_method(training: Training, backend: NovaBackend) -> None:
    if training.method != backend.method:
        raise rule_error(
            f"it is {backend.method}, and training.method is {training.method}.",
            path=("training", "backend", "method"),
            fix="give both the same; Nova is trained by sft or cpt here.",
        )
    if training.adapter is None and backend.peft == "lora":
        raise rule_error(
            "adapter: null asks for all parameters.",
            path=("training", "backend", "peft"),
            fix="set peft: full, or take adapter: null out.",
        )


def _check_mixture(mixture: Mixture, mixed: bool) -> None:
    if mixture.schedule:
        raise rule_error(
            "Nova mixes by one set of shares.",
            path=("mixture", "schedule"),
            fix="give domain_share instead.",
        )
    if mixed and mixture.unit != "rows":
        raise rule_error("Nova mixes by rows.", path=("mixture", "unit"), fix="set unit: rows.")
    if mixed and mixture.weight_from == "size":
        raise rule_error(
            "nobody knows the size of Nova's data.",
            path=("mixture", "weight_from"),
            fix="set weight_from: weight.",
        )
    if mixed and mixture.domain_share == 1:
        raise rule_error(
            "at 1 nothing of Nova's data is used.",
            path=("mixture", "domain_share"),
            fix="lower it, or take the kind: nova sources out.",
        )


def _check_categories(theirs: Sequence[tuple[int, NovaSource]], backend: NovaBackend) -> None:
    known, seen = backend.data_categories, set[str]()
    for i, source in theirs:
        if source.category is None:
            if len(theirs) > 1:
                raise rule_error(
                    "AWS's default mix can't be mixed with named categories.",
                    path=("sources", i, "category"),
                    fix="name one, or keep this source alone.",
                )
        elif source.category not in known:
            raise rule_error(
                f"{backend.model} ({backend.modality}, {backend.method}) has no category "
                f"'{source.category}'.",
                path=("sources", i, "category"),
                fix=f"use one of {', '.join(known)}.",
            )
        elif source.category in seen:
            raise rule_error(
                f"'{source.category}' is there twice.",
                path=("sources", i, "category"),
                fix="add the weights in one source.",
            )
        seen.add(source.category or "")
    if (
        theirs
        and backend.hyperpod is None
        and (backend.model != "nova-textgeneration-lite-v2" or backend.modality != "text")
    ):
        raise rule_error(
            "serverless jobs mix data in for Nova 2 Lite on text alone.",
            path=("sources", theirs[0][0], "kind"),
            fix="add hyperpod: {cluster: NAME} to the backend.",
        )
