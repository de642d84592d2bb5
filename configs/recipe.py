"""The recipe: one frozen description of data, model, training, tests and gates."""

import re

from pydantic import Field, model_validator

from configs.evaluation import Evaluation, Suite
from configs.gates import FEWEST_A_CLASS, Gate, References, item_limits
from configs.mixture import Mixture
from configs.models import Model
from configs.nova_rules import check_benchmarks, check_nova
from configs.quality import Quality
from configs.section import Name, Section, YamlPath, rule_error
from configs.sources import RehearsalSource, Source, StoredSource
from configs.sweep import Sweep
from configs.training import Training


class Licences(Section):
    """The licences you accept; a source with another one, or with none, is refused."""

    allow: tuple[str, ...] = Field(min_length=1, description="SPDX ids, e.g. Apache-2.0, CC-BY-4.0")

    def allows(self, licence: str) -> bool:
        """Return whether a licence is accepted.

        Case, and blanks or underscores for hyphens, don't matter. Of ``A OR B`` one must be
        accepted, of ``A AND B`` both; AND binds closer, as in SPDX 2.3, annex D.
        """
        known = {_plain(one) for one in self.allow}
        return _plain(licence) in known or any(
            all(_plain(one) in known for one in re.split(r"\s+and\s+", either, flags=re.I))
            for either in re.split(r"\s+or\s+", licence, flags=re.I)
        )


def _plain(licence: str) -> str:
    return re.sub(r"[\s_-]+", "-", licence.strip().casefold())


class Tracking(Section):
    """Where the MLflow run goes."""

    experiment: str = Field("temper", min_length=1)


class Recipe(Section):
    """What to specialise, on what, and what must hold afterwards."""

    name: Name
    seed: int = Field(17, ge=0, lt=2**32)
    model: Model
    sources: tuple[Source, ...] = Field(min_length=1)
    licences: Licences | None = Field(None, description="any licence, or none, when absent")
    quality: Quality = Quality()
    mixture: Mixture = Mixture()
    training: Training = Training()
    evaluation: Evaluation
    gates: tuple[Gate, ...] = ()
    references: References = References()
    tracking: Tracking = Tracking()
    sweep: Sweep | None = Field(None, description="arms that temper sweep compares")

    def source(self, name: str) -> Source:
        """Return the source of that name."""
        return next(s for s in self.sources if s.name == name)

    @property
    def family(self) -> str:
        """What recipes share that are tried in turn on the same test items.

        Their domain sources: ratios, learning rates, names and experiments may differ.
        """
        return "+".join(sorted(s.name for s in self.sources if s.role == "domain"))

    @property
    def split_seed(self) -> int:
        """Seed of what is held out and of which items are asked."""
        return self.seed if self.evaluation.seed is None else self.evaluation.seed

    @property
    def registered_name(self) -> str:
        """Name of the registered model that this recipe's releases are versions of."""
        return self.references.champion or self.name

    def suite(self, name: str) -> Suite:
        """Return the suite of that name."""
        return next(s for s in self.evaluation.suites if s.name == name)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        _refuse_twins(("sources",), [s.name for s in self.sources])
        _refuse_twins(("evaluation", "suites"), [s.name for s in self.evaluation.suites])
        self._roles_fit_share()
        self._licences_are_allowed()
        self._sizes_are_known()
        check_nova(self.sources, self.mixture, self.training)
        check_benchmarks(self.evaluation.suites, self.training)
        self._training_fits_sources()
        for i, suite in enumerate(self.evaluation.suites):
            self._suite_has_its_source(i, suite)
        for i, gate in enumerate(self.gates):
            self._gate_has_its_metric(i, gate)
        known = {s.name for s in self.evaluation.suites}
        for i, name in enumerate(self.mixture.exclude_overlap_with):
            if name not in known:
                raise rule_error(
                    f"no suite is named '{name}'.",
                    path=("mixture", "exclude_overlap_with", i),
                    fix=f"use one of {_listed(known)}.",
                )
        return self

    def _roles_fit_share(self) -> None:
        roles = {s.role for s in self.sources}
        if "domain" not in roles:
            raise rule_error(
                "no source has role 'domain'.", path=("sources",), fix="give one that role."
            )
        if self.mixture.least_domain_share < 1 and "general" not in roles:
            raise rule_error(
                "a share under 1 needs a general source.",
                path=("mixture", "domain_share"),
                fix="add one (kind: rehearsal needs no data of yours) or set domain_share: 1.0.",
            )

    def _training_fits_sources(self) -> None:
        names, method = {s.name for s in self.sources}, self.training.method
        for name in self.training.loss_weight:
            if name not in names:
                raise rule_error(
                    f"no source is named '{name}'.",
                    path=("training", "loss_weight", name),
                    fix=f"use one of {_listed(names)}.",
                )
        if method == "rft" and self.mixture.unit == "supervised_tokens":
            raise rule_error(
                "questions have no supervised tokens before they are answered.",
                path=("mixture", "unit"),
                fix="set unit: rows, or tokens (those of the questions).",
            )
        self._rewriting_can_be()
        rehearsed = [i for i, s in enumerate(self.sources) if isinstance(s, RehearsalSource)]
        if rehearsed and method in ("dpo", "rft"):
            raise rule_error(
                f"rehearsal gives answers, and method {method} learns from others.",
                path=("sources", rehearsed[0], "kind"),
                fix="take the source out, or train by sft or cpt.",
            )

    def _rewriting_can_be(self) -> None:
        method, backend = self.training.method, self.training.backend.kind
        for i, source in enumerate(self.sources):
            if getattr(source, "rewrite", None) is None:
                continue
            why = None
            if source.role != "domain":
                why = "general data is not rewritten: rehearsal gives the base's own answers"
            elif method != "sft":
                why = f"only answers are rewritten, and method {method} learns from others"
            elif backend == "nova":
                why = "Nova's base model is not on this machine to rewrite anything"
            if why is not None:
                raise rule_error(
                    f"{why}.", path=("sources", i, "rewrite"), fix="leave rewrite out."
                )

    def _licences_are_allowed(self) -> None:
        if self.licences is None:
            return
        allowed = _listed(self.licences.allow)
        for i, source in enumerate(self.sources):
            if not (source.licence or "").strip():
                raise rule_error(
                    f"source '{source.name}' names no licence, and only {allowed} are allowed.",
                    path=("sources", i, "licence"),
                    fix="give its licence: (an SPDX id).",
                )
            if not self.licences.allows(source.licence or ""):
                raise rule_error(
                    f"source '{source.name}' has licence '{source.licence}', and only {allowed} "
                    "are allowed.",
                    path=("sources", i, "licence"),
                    fix="take the source out, or add the licence to licences.allow.",
                )

    def _sizes_are_known(self) -> None:
        kinds = {s.kind for s in self.sources}
        if self.mixture.weight_from == "size" and "rehearsal" in kinds:
            raise rule_error(
                "a rehearsal source has no size; it is made to measure.",
                path=("mixture", "weight_from"),
                fix="set weight_from: weight, or use stored sources alone.",
            )

    def _suite_has_its_source(self, i: int, suite: Suite) -> None:
        name = suite.source_name()
        if name is None:
            return
        stored = {s.name for s in self.sources if isinstance(s, StoredSource)}
        if name not in stored:
            raise rule_error(
                f"no stored source is named '{name}'.",
                path=("evaluation", "suites", i, "source"),
                fix=f"use one of {_listed(stored)}.",
            )

    def _gate_has_its_metric(self, i: int, gate: Gate) -> None:
        given = {f"{s.name}/{m}" for s in self.evaluation.suites for m in s.metric_table()}
        if gate.metric not in given:
            raise rule_error(
                f"no suite gives '{gate.metric}'.",
                path=("gates", i, "metric"),
                fix=f"use one of {_listed(given)}.",
            )
        suite = self.suite(gate.metric.partition("/")[0])
        if not suite.metric_table()[gate.metric.partition("/")[2]].interval:
            raise rule_error(
                f"'{gate.metric}' has no interval that holds: what is picked by the same items, or "
                "summed over bins of them, is off however many are asked.",
                path=("gates", i, "metric"),
                fix="gate mean_accuracy or worst_accuracy instead of best_accuracy and spread, and "
                "brier instead of ece.",
            )
        fewest = getattr(suite, "items_per_label", None) or FEWEST_A_CLASS
        if gate.metric.endswith("/macro_f1") and fewest < FEWEST_A_CLASS:
            raise rule_error(
                f"macro-F1 of {fewest} items a class has no interval that holds.",
                path=("gates", i, "metric"),
                fix=f"set items_per_label of suite '{suite.name}' to {FEWEST_A_CLASS} or more.",
            )
        if gate.on_inconclusive == "extend" and not item_limits(suite):
            raise rule_error(
                f"suite '{suite.name}' already asks all its items.",
                path=("gates", i, "on_inconclusive"),
                fix="use block or warn, or let the suite ask fewer at first.",
            )


def _refuse_twins(path: YamlPath, names: list[str]) -> None:
    twins = sorted({n for n in names if names.count(n) > 1})
    if twins:
        raise rule_error(f"name used twice: {_listed(twins)}.", path=path, fix="rename one.")


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]
