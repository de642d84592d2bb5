"""What CreateTrainingJob refuses, as far as a request shows it."""

from functools import cache
from typing import Any

Request = dict[str, Any]


@cache
def input_shape(operation: str = "CreateTrainingJob") -> Any:
    """Return botocore's model of an operation's input."""
    import botocore.session

    service = botocore.session.get_session().get_service_model("sagemaker")
    return service.operation_model(operation).input_shape


def problems(request: Request, operation: str = "CreateTrainingJob") -> list[str]:
    """Return what is wrong with a request: its form by botocore's model, patterns and enums
    too, and combinations that the service refuses.
    """
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(request, input_shape(operation))
    found = [report.generate_report()] if report.has_errors() else []
    found += list(_constraints(request, input_shape(operation), operation))
    return found + (_combinations(request) if operation == "CreateTrainingJob" else [])


def _constraints(value: Any, shape: Any, where: str) -> list[str]:
    """Return violations of patterns, enums and upper bounds, which ParamValidator leaves out."""
    if shape.type_name == "structure" and isinstance(value, dict):
        return [
            p
            for k, v in value.items()
            if k in shape.members
            for p in _constraints(v, shape.members[k], f"{where}.{k}")
        ]
    found = _bounds(value, shape, where)
    if shape.type_name == "list" and isinstance(value, list):
        return found + [
            p for i, v in enumerate(value) for p in _constraints(v, shape.member, f"{where}.{i}")
        ]
    if shape.type_name == "map" and isinstance(value, dict):
        return found + [
            p
            for k, v in value.items()
            for p in [
                *_constraints(k, shape.key, f"{where} key"),
                *_constraints(v, shape.value, f"{where}.{k}"),
            ]
        ]
    return found


def _bounds(value: Any, shape: Any, where: str) -> list[str]:
    known = shape.metadata
    sized = len(value) if hasattr(value, "__len__") else value
    found = []
    if "enum" in known and value not in known["enum"]:
        found.append(f"{where}: {value!r} is not one of the service's values")
    if "max" in known and sized > known["max"]:
        found.append(f"{where}: {sized} is over {known['max']}")
    if "pattern" in known and not _matches(known["pattern"], str(value)):
        found.append(f"{where}: {value!r} does not match {known['pattern']}")
    return found


def _matches(pattern: str, text: str) -> bool:
    import re

    # Python's re has no \p{...}; the service's classes of letters, blanks and digits are these.
    plain = pattern.replace(r"\p{L}", r"\w").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d")
    return re.fullmatch(plain, text) is not None


def _combinations(request: Request) -> list[str]:
    spot = request.get("EnableManagedSpotTraining", False)
    stopping = request.get("StoppingCondition", {})
    wait, run = stopping.get("MaxWaitTimeInSeconds"), stopping.get("MaxRuntimeInSeconds", 86_400)
    resources = request.get("ResourceConfig", {})
    found = []
    if wait is not None and not spot:
        found.append("MaxWaitTimeInSeconds is only for managed spot training")
    if spot and (wait is None or wait < run):
        found.append("MaxWaitTimeInSeconds has to be at least MaxRuntimeInSeconds")
    if spot and resources.get("KeepAlivePeriodInSeconds"):
        found.append("warm pools can't be used with managed spot training")
    serverless = "ServerlessJobConfig" in request
    if serverless and resources:
        found.append("ResourceConfig can't be given for a serverless job")
    if not serverless and not {"ResourceConfig", "AlgorithmSpecification"} <= request.keys():
        found.append("ResourceConfig and AlgorithmSpecification are required")
    return found
