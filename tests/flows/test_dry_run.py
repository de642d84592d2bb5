"""What the commands say of recipes whose training runs elsewhere; AWS is a moto server."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.training.backends.sagemaker.standin.rules import problems

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Fields = dict[str, Any]
ROLE = "arn:aws:iam::123456789012:role/temper-job"
GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"


@pytest.fixture(scope="module")
def account(open_account: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """AWS on loopback with a bucket and a role, one TEMPER_HOME; gives the S3 client."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        yield open_account(
            patch,
            {
                "TEMPER_SAGEMAKER_STANDIN": str(home / "standin"),
                "TEMPER_HOME": str(home),
            },
        )


@pytest.fixture
def recipe(tiny_fields: Fields, tmp_path: Path) -> Callable[..., str]:
    """A function from a backend, and changes of the recipe, to the tiny recipe's file."""

    def made(backend: Fields, **changes: Any) -> str:
        fields = {**deepcopy(tiny_fields), **changes}
        # Nova's service has no place for the options of a trainer.
        own = {"sequence_length": 256} if backend["kind"] == "nova" else fields["training"]
        fields["training"] = {**own, "backend": backend}
        path = tmp_path / "remote.yaml"
        path.write_text(yaml.safe_dump(fields, sort_keys=False))
        return str(path)

    return made


SAGEMAKER = {"kind": "sagemaker", "instance_type": "ml.m5.xlarge", "install": False}


def _held(client: Any) -> list[str]:
    return [o["Key"] for o in client.list_objects_v2(Bucket="temper-tests").get("Contents", [])]


def test_a_preflight_says_what_it_looked_at(account: Any, recipe: Callable[..., str]) -> None:
    from flows.cli.commands import check

    answer = check(recipe(SAGEMAKER), backend=True)
    assert answer.exit_code == 0
    looks = {look["name"]: look["state"] for look in answer.json["looks"]}
    assert looks == {
        "credentials": "ok",
        "role": "ok",
        "bucket": "ok",
        "memory": "ok",
        "context": "ok",
        "cost": "ok",
    }
    assert answer.json["estimate"]["cost"] > 0
    assert _held(account) == []


def test_a_preflight_that_would_be_refused_ends_with_code_2(
    account: Any, recipe: Callable[..., str]
) -> None:
    from flows.cli.commands import check

    answer = check(recipe(SAGEMAKER), backend=True, set_=["training.sequence_length=4096"])
    assert answer.exit_code == 2
    assert [x["name"] for x in answer.json["looks"] if x["state"] == "refused"] == ["context"]


@pytest.mark.parametrize("command", ["run", "train"])
def test_a_dry_run_shows_the_request_and_uploads_and_submits_nothing(
    account: Any, recipe: Callable[..., str], tmp_path: Path, command: str
) -> None:
    from flows.cli import commands

    path = recipe({**SAGEMAKER, "dry_run": True})
    answer = commands.run(path) if command == "run" else commands.train(path)
    request = answer.json["request"]["CreateTrainingJob"]
    assert answer.exit_code == 0
    assert problems(request) == []
    assert answer.json["preflight"]["looks"]
    assert _held(account) == []
    answer.print(as_json=False)


def _nova(**backend: Any) -> Fields:
    return {"kind": "nova", "accept_eula": True, "model_package_group": GROUP, **backend}


def _nova_sources(fields: Fields) -> list[Fields]:
    theirs = {"kind": "nova", "name": "nova-if", "category": "instruction-following", "weight": 3}
    return [*fields["sources"], theirs]


def test_a_plan_for_nova_prints_the_exact_request(
    account: Any, recipe: Callable[..., str], tiny_fields: Fields
) -> None:
    from flows.cli.commands import plan

    mixture = {
        "unit": "rows",
        "domain_share": 0.5,
        "on_shortage": "repeat",
        "max_epochs": 20,
        "size": {"domain_epochs": 10},
    }
    path = recipe(_nova(), sources=_nova_sources(tiny_fields), mixture=mixture)
    answer = plan(path, [])
    request = answer.json["request"]["CreateTrainingJob"]
    assert problems(request) == []
    # Half is domain; the rest is one part own general data and three parts Nova's.
    assert request["HyperParameters"]["customer_data_percent"] == "62.5"
    assert request["HyperParameters"]["nova_instruction-following_percent"] == "100"
    rows = {s["name"]: s["rows"] for s in answer.json["plan"]["sources"]}
    assert rows == {"reviews": 240, "general": 60}
    assert _held(account) == []
    uri = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    assert uri.startswith("s3://temper-tests/store/rows/")
    assert plan(path, []).json["request"] == answer.json["request"]


def test_a_plan_for_a_cluster_prints_recipe_and_commands(
    account: Any, recipe: Callable[..., str], tiny_fields: Fields
) -> None:
    from flows.cli.commands import plan

    backend = _nova(hyperpod={"cluster": "c"}, model_package_group=None)
    mixture = {
        "unit": "rows",
        "domain_share": 0.5,
        "on_shortage": "repeat",
        "size": {"domain_epochs": 2},
    }
    answer = plan(recipe(backend, sources=_nova_sources(tiny_fields), mixture=mixture), [])
    request = answer.json["request"]
    assert request["recipe"]["data_mixing"]["sources"]["customer_data"] == {"percent": 62.5}
    assert [c[1] for c in request["commands"]] == ["connect-cluster", "start-job"]


def test_too_few_rows_for_nova_are_told(account: Any, recipe: Callable[..., str]) -> None:
    from flows.cli.commands import plan
    from tasks.errors import DataError

    with pytest.raises(DataError, match="outside what the service takes"):
        plan(recipe(_nova()), [])
