"""The recipe: one frozen description of data, model, training, tests and gates."""

from pydantic import Field, model_validator

from configs.evaluation import Evaluation, Gate, Suite
from configs.gates import FEWEST_A_CLASS, References, caps
from configs.licences import Licences
from configs.nova_rules import check_benchmarks, check_nova
from configs.section import Name, Section
from configs.sources import RehearsalSource, Source, StoredSource
from configs.stages import Mixture, Model, Quality, Tracking, Training


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

    def source(self, name: str) -> Source:
        """Return the source of that name."""
        return next(s for s in self.sources if s.name == name)

    @property
    def family(self) -> str:
        """What recipes share that are tried in turn on the same test items.

        Their experiment and their domain sources: ratios, learning rates and names may differ.
        """
        domain = sorted(s.name for s in self.sources if s.role == "domain")
        return f"{self.tracking.experiment}/{'+'.join(domain)}"

    @property
    def registered_name(self) -> str:
        """Name of the registered model that this recipe's releases are versions of."""
        return self.references.champion or self.name

    def suite(self, name: str) -> Suite:
        """Return the suite of that name."""
        return next(s for s in self.evaluation.suites if s.name == name)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        _refuse_twins("sources", [s.name for s in self.sources])
        _refuse_twins("evaluation.suites", [s.name for s in self.evaluation.suites])
        self._roles_fit_share()
        self._licences_are_allowed()
        self._sizes_are_known()
        check_nova(self.sources, self.mixture, self.training)
        check_benchmarks(self.evaluation.suites, self.training)
        self._training_fits_sources()
        for i, suite in enumerate(self.evaluation.suites):
            self._suite_has_its_source(f"evaluation.suites.{i}", suite)
        for i, gate in enumerate(self.gates):
            self._gate_has_its_metric(f"gates.{i}", gate)
        known = {s.name for s in self.evaluation.suites}
        for i, name in enumerate(self.mixture.exclude_overlap_with):
            if name not in known:
                raise ValueError(
                    f"@mixture.exclude_overlap_with.{i}: no suite is named '{name}'. "
                    f"Fix: use one of {_listed(known)}."
                )
        return self

    def _roles_fit_share(self) -> None:
        roles = {s.role for s in self.sources}
        if "domain" not in roles:
            raise ValueError("@sources: no source has role 'domain'. Fix: give one that role.")
        if self.mixture.least_domain_share < 1 and "general" not in roles:
            raise ValueError(
                "@mixture.domain_share: a share under 1 needs a general source. "
                "Fix: add one (kind: rehearsal needs no data of yours) or set domain_share: 1.0."
            )

    def _training_fits_sources(self) -> None:
        names, method = {s.name for s in self.sources}, self.training.method
        for name in self.training.loss_weight:
            if name not in names:
                raise ValueError(
                    f"@training.loss_weight.{name}: no source is named '{name}'. "
                    f"Fix: use one of {_listed(names)}."
                )
        if method == "rft" and self.mixture.unit == "supervised_tokens":
            raise ValueError(
                "@mixture.unit: questions have no supervised tokens before they are answered. "
                "Fix: set unit: rows, or tokens (those of the questions)."
            )
        self._rewriting_can_be()
        rehearsed = [i for i, s in enumerate(self.sources) if isinstance(s, RehearsalSource)]
        if rehearsed and method in ("dpo", "rft"):
            raise ValueError(
                f"@sources.{rehearsed[0]}.kind: rehearsal gives answers, and method {method} "
                "learns from others. Fix: take the source out, or train by sft or cpt."
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
                raise ValueError(f"@sources.{i}.rewrite: {why}. Fix: leave rewrite out.")

    def _licences_are_allowed(self) -> None:
        if self.licences is None:
            return
        allowed = _listed(self.licences.allow)
        for i, source in enumerate(self.sources):
            if not (source.licence or "").strip():
                raise ValueError(
                    f"@sources.{i}.licence: source '{source.name}' names no licence, and only "
                    f"{allowed} are allowed. Fix: give its licence: (an SPDX id)."
                )
            if not self.licences.allows(source.licence or ""):
                raise ValueError(
                    f"@sources.{i}.licence: source '{source.name}' has licence "
                    f"'{source.licence}', and only {allowed} are allowed. "
                    "Fix: take the source out, or add the licence to licences.allow."
                )

    def _sizes_are_known(self) -> None:
        kinds = {s.kind for s in self.sources}
        if self.mixture.weight_from == "size" and "rehearsal" in kinds:
            raise ValueError(
                "@mixture.weight_from: a rehearsal source has no size; it is made to measure. "
                "Fix: set weight_from: weight, or use stored sources alone."
            )

    def _suite_has_its_source(self, path: str, suite: Suite) -> None:
        name = suite.source_name()
        if name is None:
            return
        stored = {s.name for s in self.sources if isinstance(s, StoredSource)}
        if name not in stored:
            raise ValueError(
                f"@{path}.source: no stored source is named '{name}'. "
                f"Fix: use one of {_listed(stored)}."
            )

    def _gate_has_its_metric(self, path: str, gate: Gate) -> None:
        given = {f"{s.name}/{m}" for s in self.evaluation.suites for m in s.metric_table()}
        if gate.metric not in given:
            raise ValueError(
                f"@{path}.metric: no suite gives '{gate.metric}'. Fix: use one of {_listed(given)}."
            )
        suite = self.suite(gate.metric.partition("/")[0])
        fewest = getattr(suite, "items_per_label", None) or FEWEST_A_CLASS
        if gate.metric.endswith("/macro_f1") and fewest < FEWEST_A_CLASS:
            raise ValueError(
                f"@{path}.metric: macro-F1 of {fewest} items a class has no interval that holds. "
                f"Fix: set items_per_label of suite '{suite.name}' to {FEWEST_A_CLASS} or more."
            )
        if gate.on_inconclusive == "extend" and not caps(suite):
            raise ValueError(
                f"@{path}.on_inconclusive: suite '{suite.name}' already asks all its items. "
                "Fix: use block or warn, or let the suite ask fewer at first."
            )


def _refuse_twins(path: str, names: list[str]) -> None:
    twins = sorted({n for n in names if names.count(n) > 1})
    if twins:
        raise ValueError(f"@{path}: name used twice: {_listed(twins)}. Fix: rename one.")


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]
