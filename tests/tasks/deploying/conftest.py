"""A run's model with its evidence, made of the tiny model; and SageMaker to deploy it to."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from tasks.artifacts import Checkpoint, LocalModel
from tasks.deploying.card import Release
from tasks.models.identity import tokenizer_digest, weights_digest
from tasks.scores import Estimate, GateResult
from tasks.training.backends.sagemaker.standin.rules import problems

LOCK: dict[str, Any] = {
    "mixture_digest": "m" * 64,
    "unit": "rows",
    "sources": [
        {
            "name": "reviews",
            "role": "domain",
            "licence": "Apache-2.0",
            "uri": "reviews.jsonl",
            "share": 0.75,
            "share_got": {"rows": 0.75},
            "rows": 300,
            "tokens": 9000,
            "epochs": 1.0,
        },
        {
            "name": "chat",
            "role": "general",
            "licence": None,
            "uri": "a|b.jsonl",
            "share": 0.25,
            "share_got": {"rows": 0.25},
            "rows": 100,
            "tokens": 4000,
            "epochs": 0.5,
        },
    ],
    "recipe": {
        "name": "voc",
        "model": {"path": "org/base"},
        "training": {"method": "sft", "sequence_length": 512},
    },
}


@pytest.fixture
def release(tiny_model: LocalModel, tmp_path: Path) -> Release:
    """A release that passed its gate, its checkpoint a copy of the tiny model."""
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_model.path, folder)
    for name in ("losses.jsonl", "job.json", "manifest.json"):
        (folder / name).write_text("{}")
    digest = weights_digest(folder)
    model = Checkpoint(
        path=folder,
        name="tiny-1",
        digest=digest,
        tokenizer_digest=tokenizer_digest(folder),
        parent="p" * 64,
        steps=2,
        adapter_digest="a" * 64,
    )
    gate = GateResult(
        metric="reviews/macro_f1",
        rule="improve",
        verdict="PASS",
        base=0.4,
        candidate=0.6,
        difference=0.2,
        low=0.1,
        high=0.3,
        n=200,
        needed_n=None,
        reason="",
    )
    score = {"reviews/macro_f1": Estimate(value=0.6, low=0.5, high=0.7, n=200)}
    base = {"reviews/macro_f1": Estimate(value=0.4, low=0.3, high=0.5, n=200)}
    return Release(
        "voc", "r" * 32, "d" * 64, "PASS", model, (digest, digest), LOCK, (gate,), base, score
    )


ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/"
OPERATIONS = {
    xform_name(name): name
    for name in (
        "CreateModel",
        "CreateEndpointConfig",
        "CreateEndpoint",
        "UpdateEndpoint",
        "DescribeEndpoint",
        "DeleteEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "ListTags",
        "AddTags",
    )
}


class Service:
    """SageMaker and its runtime as far as an endpoint needs them: what is in it, and every call.

    Attributes:
        lacking: Instance types that no machine is free of.
        silent: Instance types on which the container answers with an error.
        raising: What the next calls of a name raise, before they do anything; None for nothing.
        said: What the model answers.
        endpoints: Name -> ``config``, ``status``, ``former`` and ``tags``.
    """

    def __init__(self) -> None:
        self.calls = list[tuple[str, dict[str, Any]]]()
        self.models, self.configs = dict[str, Any](), dict[str, Any]()
        self.endpoints = dict[str, dict[str, Any]]()
        self.lacking, self.silent = set[str](), set[str]()
        self.raising = dict[str, list[BaseException | None]]()
        self.said = "I am {weights}."

    def __call__(self, _: str) -> "Service":
        return self

    def __getattr__(self, call: str) -> Any:
        def made(**request: Any) -> dict[str, Any]:
            if call not in OPERATIONS:
                raise AttributeError(call)
            assert problems(request, OPERATIONS[call]) == []
            self._begin(call, request)
            return dict(getattr(self, f"_{call}")(request) or {})

        return made

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        self._begin("invoke_endpoint", request)
        model = self.served(request["EndpointName"])
        weights = next(t["Value"] for t in model["Tags"] if t["Key"] == "temper:weights")
        text = self.said.format(weights=weights)
        said: dict[str, Any] = {"choices": [{"message": {"content": text}}]}
        if self.machine(self.endpoints[request["EndpointName"]]["config"]) in self.silent:
            said = {"error": "x"}
        return {"Body": io.BytesIO(json.dumps(said).encode())}

    def served(self, name: str) -> Any:
        """Return the model that an endpoint serves."""
        config = self.configs[self.endpoints[name]["config"]]
        return self.models[config["ProductionVariants"][0]["ModelName"]]

    def machine(self, config: str) -> str:
        return str(self.configs[config]["ProductionVariants"][0]["InstanceType"])

    def changes(self) -> list[str]:
        """Return the calls that changed something."""
        return [c for c, _ in self.calls if c.startswith(("create", "update", "delete", "add"))]

    def _begin(self, call: str, request: dict[str, Any]) -> None:
        self.calls.append((call, request))
        waiting = self.raising.get(call)
        if waiting and (error := waiting.pop(0)) is not None:
            raise error

    def _create_model(self, request: dict[str, Any]) -> None:
        self._new(self.models, request["ModelName"], "model", request)

    def _create_endpoint_config(self, request: dict[str, Any]) -> None:
        assert request["ProductionVariants"][0]["ModelName"] in self.models
        self._new(self.configs, request["EndpointConfigName"], "endpoint configuration", request)

    def _create_endpoint(self, request: dict[str, Any]) -> None:
        assert request["EndpointConfigName"] in self.configs
        state = {
            "config": request["EndpointConfigName"],
            "status": "Creating",
            "former": None,
            "tags": request["Tags"],
        }
        self._new(self.endpoints, request["EndpointName"], "endpoint", state)

    def _update_endpoint(self, request: dict[str, Any]) -> None:
        state = self.endpoints[request["EndpointName"]]
        assert request["EndpointConfigName"] in self.configs
        if state["status"] != "InService":
            raise _refused("Cannot update in-progress endpoint")
        state.update(
            former=state["config"], config=request["EndpointConfigName"], status="Updating"
        )

    def _describe_endpoint(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["EndpointName"]
        if name not in self.endpoints:
            raise _refused(f'Could not find endpoint "{ARN}{name}".')
        state = self.endpoints[name]
        found = {
            "EndpointArn": ARN + name,
            "EndpointStatus": state["status"],
            "EndpointConfigName": state["former"] or state["config"],
        }
        if state["status"] in ("Creating", "Updating"):
            found["PendingDeploymentSummary"] = {"EndpointConfigName": state["config"]}
            self._settle(state)
        return {**found, "FailureReason": state.get("why")}

    def _settle(self, state: dict[str, Any]) -> None:
        if self.machine(state["config"]) not in self.lacking:
            state.update(status="InService", former=None)
        elif state["former"]:
            state.update(config=state["former"], former=None, status="InService", why="no capacity")
        else:
            state.update(status="Failed", why="no capacity")

    def _delete_endpoint(self, request: dict[str, Any]) -> None:
        del self.endpoints[request["EndpointName"]]

    def _delete_endpoint_config(self, request: dict[str, Any]) -> None:
        name = request["EndpointConfigName"]
        assert all(name not in (e["config"], e["former"]) for e in self.endpoints.values())
        del self.configs[name]

    def _delete_model(self, request: dict[str, Any]) -> None:
        del self.models[request["ModelName"]]

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": self.endpoints[request["ResourceArn"].removeprefix(ARN)]["tags"]}

    def _add_tags(self, request: dict[str, Any]) -> None:
        self.endpoints[request["ResourceArn"].removeprefix(ARN)]["tags"] = request["Tags"]

    def _new(self, there: dict[str, Any], name: str, what: str, value: dict[str, Any]) -> None:
        if name in there:
            raise _refused(f'Cannot create already existing {what} "{name}".')
        there[name] = value


def _refused(message: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Any")


@pytest.fixture
def service() -> Service:
    """An account with nothing in it."""
    return Service()
