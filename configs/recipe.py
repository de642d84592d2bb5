"""The recipe: one frozen description of data, model, training, tests and gates."""

from pydantic import Field, model_validator

from configs.evaluation import Evaluation, Gate, Suite
from configs.licences import Licences
from configs.section import Name, Section
from configs.sources import RehearsalSource, Source
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
    tracking: Tracking = Tracking()

    def source(self, name: str) -> Source:
        """Return the source of that name."""
        return next(s for s in self.sources if s.name == name)

    def suite(self, name: str) -> Suite:
        """Return the suite of that name."""
        return next(s for s in self.evaluation.suites if s.name == name)

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        _refuse_twins("sources", [s.name for s in self.sources])
        _refuse_twins("evaluation.suites", [s.name for s in self.evaluation.suites])
        self._roles_fit_share()
        self._licences_are_allowed()
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
        stored = {s.name for s in self.sources if not isinstance(s, RehearsalSource)}
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


def _refuse_twins(path: str, names: list[str]) -> None:
    twins = sorted({n for n in names if names.count(n) > 1})
    if twins:
        raise ValueError(f"@{path}: name used twice: {_listed(twins)}. Fix: rename one.")


def _listed(names: object) -> str:
    return ", ".join(sorted(names))  # type: ignore[call-overload]
