"""Two models' results, as other tools left them, paired by item and judged."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from pydantic import Field, ValidationError

from configs.gates import FloorGate, Gate
from configs.metrics import Metric
from configs.section import Section
from tasks.errors import DataError, EvaluationError
from tasks.gates.decision import Evidence, decide, refusal
from tasks.metrics.arrays import codes
from tasks.metrics.paired import above, difference, point
from tasks.metrics.values import ItemValues, Numbers, clipped
from tasks.result_files.readers import ItemScores, Results, read_results
from tasks.scores import GateResult
from tasks.storage import digest_of


class ResultMetric(Section):
    """What a metric of another tool is."""

    better: Literal["higher", "lower"] = "higher"
    range: tuple[float, float] | None = Field(
        None, description="ends of what an item's score can be; 0 to 1 where all scores lie there"
    )
    chance: float | None = Field(None, description="its value without any knowledge")


class GatesFile(Section):
    """The gates, and what the metrics are where it isn't clear from the scores."""

    gates: tuple[Gate, ...] = Field(min_length=1)
    metrics: dict[str, ResultMetric] = {}


def read_gates(path: Path) -> GatesFile:
    """Return the gates that a YAML file declares.

    Raises:
        DataError: It isn't there, is no YAML, or declares something else.
    """
    try:
        return GatesFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(str(error), where=str(path), fix="give a gates.yaml.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(
            f"it is no YAML: {str(error).splitlines()[0]}", where=str(path), fix="correct it."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}.",
            where=str(path),
            fix="write gates: [{metric: task/metric, rule: hold, margin: 0.02}].",
        ) from error


def judge_results(base: Path, candidate: Path, gates: GatesFile) -> list[GateResult]:
    """Return the outcome of every gate on two models' results.

    Raises:
        DataError: A folder's results can't be read (see ``read_results``).
        EvaluationError: A metric isn't in both, or the two aren't of the same items.
    """
    first, second = read_results(base), read_results(candidate)
    return [_judge(gate, first, second, gates.metrics.get(gate.metric)) for gate in gates.gates]


def _judge(gate: Gate, base: Results, candidate: Results, about: ResultMetric | None) -> GateResult:
    for name, results in (("base", base), ("candidate", candidate)):
        if gate.metric not in results:
            raise EvaluationError(
                f"the {name} has no '{gate.metric}'.",
                where="gates",
                fix=f"use one of {', '.join(sorted(results)[:12])}.",
            )
    if gate.on_inconclusive == "extend":
        raise EvaluationError(
            "stored results can't be extended: no model is asked here.",
            where=gate.metric,
            fix="set on_inconclusive to block or warn.",
        )
    one, other = base[gate.metric], candidate[gate.metric]
    _refuse_unpaired(gate.metric, one, other)
    told = about or ResultMetric()
    ids = tuple(sorted(one.values))
    span = told.range or _ends(one, other)
    first, second = (_items(ids, scores, one, span) for scores in (one, other))
    metric = Metric(told.better, "mean", told.chance, span)
    confidence = 1 - 2 * gate.alpha
    alone = isinstance(gate, FloorGate)
    if isinstance(gate, FloorGate):
        found = above(second, gate.at, confidence)
    else:
        found = difference(first, second, confidence)
    refused = refusal(gate, metric, second if alone else first)
    outcome = (None if found.doubt else refused) or decide(
        gate, Evidence(found, metric.better, gate.alpha)
    )
    return GateResult(
        metric=gate.metric,
        rule=gate.rule,
        verdict=outcome.verdict,
        base=point(first),
        candidate=point(second),
        difference=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        needed_n=outcome.needed_n,
        reason=outcome.reason,
        alpha=gate.alpha,
        against=None if alone else "base",
        policy=gate.on_inconclusive,
        reference_digest=digest_of(one.values),
        candidate_digest=digest_of(other.values),
        fingerprint=digest_of([ids, one.questions]),
    )


def _items(
    ids: tuple[str, ...], scores: ItemScores, base: ItemScores, span: tuple[float, float] | None
) -> ItemValues:
    values = np.array([scores.values[i] for i in ids], dtype=np.float64)
    if span is not None and span != (0.0, 1.0) and ((values < span[0]) | (values > span[1])).any():
        return ItemValues(ids, clipped(Numbers(values), span), *_design(ids, base))
    return ItemValues(ids, Numbers(values, span=span), *_design(ids, base))


def _design(ids: tuple[str, ...], base: ItemScores) -> tuple[np.ndarray | None, np.ndarray | None]:
    strata = codes([base.strata.get(i) for i in ids], alone=False) if base.strata else None
    clusters = codes([base.clusters.get(i) for i in ids], alone=True) if base.clusters else None
    return strata, clusters


def _ends(one: ItemScores, other: ItemScores) -> tuple[float, float] | None:
    values = [*one.values.values(), *other.values.values()]
    return (0.0, 1.0) if min(values) >= 0 and max(values) <= 1 else None


def _refuse_unpaired(name: str, one: ItemScores, other: ItemScores) -> None:
    said = []
    if one.version != other.version:
        said.append(f"the task's version is '{one.version}' and '{other.version}'")
    for title, have, lack in (("base", one, other), ("candidate", other, one)):
        only = sorted(have.values.keys() - lack.values.keys())
        if only:
            said.append(f"{len(only):,} items only in the {title} ({', '.join(only[:3])})")
    shared = one.values.keys() & other.values.keys()
    asked = sum(_differs(one.questions, other.questions, item) for item in shared)
    if asked:
        said.append(f"{asked:,} of {len(shared):,} shared items were asked differently")
    parts = sum(_differs(one.clusters, other.clusters, i) for i in shared)
    parts += sum(_differs(one.strata, other.strata, i) for i in shared)
    if parts:
        said.append(f"{parts:,} items are in another cluster or stratum")
    if said:
        raise EvaluationError(
            f"the two can't be compared: {'; '.join(said)}.",
            where=name,
            fix="evaluate both models on the same items with the same version of the tool.",
        )


def _differs(one: Mapping[str, str], other: Mapping[str, str], item: str) -> bool:
    return one.get(item) != other.get(item)
