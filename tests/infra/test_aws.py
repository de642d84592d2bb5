"""What is given to an AWS account: valid, and no wider than it has to be."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "infra" / "aws"
# The few actions that AWS gives no resource to bind to.
UNBOUND = {
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "servicequotas:ListServiceQuotas",
}


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms as plain values."""


Template.add_multi_constructor(
    "!",
    lambda loader, _, node: (
        loader.construct_scalar(node)
        if isinstance(node, yaml.ScalarNode)
        else loader.construct_sequence(node)
    ),
)


def _statements() -> list[dict[str, Any]]:
    stack = yaml.load((FOLDER / "stack.yaml").read_text(), Template)["Resources"]
    found = stack["JobRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    found = found + stack["Submitter"]["Properties"]["PolicyDocument"]["Statement"]
    return [*found, *json.loads((FOLDER / "policy.json").read_text())["Statement"]]


def _actions(statement: dict[str, Any]) -> set[str]:
    given = statement["Action"]
    return {given} if isinstance(given, str) else set(given)


@pytest.mark.parametrize("statement", _statements(), ids=lambda s: s["Sid"])
def test_nothing_is_allowed_by_wildcard(statement: dict[str, Any]) -> None:
    assert not any("*" in action for action in _actions(statement))
    if statement["Resource"] == "*":
        assert _actions(statement) <= UNBOUND


def test_the_role_is_allowed_what_preflight_asks_for() -> None:
    from tasks.training.preflight.aws import NEEDED

    policy = json.loads((FOLDER / "policy.json").read_text())["Statement"]
    assert set(NEEDED) <= set().union(*map(_actions, policy))


def test_the_policy_is_that_of_the_stack() -> None:
    stack = yaml.load((FOLDER / "stack.yaml").read_text(), Template)["Resources"]["JobRole"]
    theirs = stack["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    ours = json.loads((FOLDER / "policy.json").read_text())["Statement"]
    assert {s["Sid"]: _actions(s) for s in ours} == {s["Sid"]: _actions(s) for s in theirs}


def test_the_stack_is_one_that_cloudformation_reads() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")
    if not linter.is_file() and shutil.which("cfn-lint") is None:
        pytest.skip("cfn-lint is not installed")
    command = [str(linter) if linter.is_file() else "cfn-lint", str(FOLDER / "stack.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
