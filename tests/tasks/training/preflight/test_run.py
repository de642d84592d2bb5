"""What a look finds, what it refuses, and that it never does more than look."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from configs.errors import SetupError
from configs.prices import SHIPPED_PRICES, Prices, read_prices
from configs.training import Training
from tasks.artifacts import LocalModel
from tasks.training.preflight.aws import READS, Reader, check_aws
from tasks.training.preflight.estimate import Load, ModelSize, Preflight, estimate, size_of
from tasks.training.preflight.run import check_sagemaker, refuse

ROLE = "arn:aws:iam::123456789012:role/temper-job"
LOAD = Load(tokens=1_000_000, supervised=200_000, steps=100)
# The sizes of Llama 3.2 1B.
ONE_B = ModelSize(1_235_814_400, 2048, 16, 8192, 128_256, 131_072)


def _training(instance: str = "ml.g5.2xlarge", **fields: Any) -> Training:
    backend = {"kind": "sagemaker", "instance_type": instance, **fields.pop("backend", {})}
    return Training.model_validate({**fields, "backend": backend})


class Account:
    """Clients that answer as an account in order would, unless told otherwise; notes each call."""

    def __init__(self, **answers: Any) -> None:
        self.calls, self.answers = list[str](), answers

    def __call__(self, service: str) -> Any:
        return Reader(service, Client(self, service))


class Client:
    def __init__(self, account: Account, service: str) -> None:
        self._account, self._service = account, service

    def __getattr__(self, call: str) -> Callable[..., Any]:
        def answer(**_: Any) -> Any:
            self._account.calls.append(f"{self._service}:{call}")
            found = self._account.answers.get(call, GOOD[call])
            if isinstance(found, Exception):
                raise found
            return found

        return answer


TRUST = {"Statement": [{"Principal": {"Service": "sagemaker.amazonaws.com"}}]}
GOOD: dict[str, Any] = {
    "get_caller_identity": {"Arn": "arn:aws:iam::123456789012:user/me"},
    "get_role": {"Role": {"AssumeRolePolicyDocument": TRUST}},
    "simulate_principal_policy": {
        "EvaluationResults": [{"EvalActionName": "s3:GetObject", "EvalDecision": "allowed"}]
    },
    "head_bucket": {"BucketRegion": "eu-west-1"},
    "list_service_quotas": {
        "Quotas": [{"QuotaName": "ml.g5.2xlarge for training job usage", "Value": 2.0}]
    },
}
QUOTA = ("ml.g5.2xlarge for training job usage", 1)


def _said(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said so"}}, "Look")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, temper_home: Path) -> None:
    monkeypatch.setenv("TEMPER_STORE", "s3://bucket/store")
    monkeypatch.setenv("TEMPER_SAGEMAKER_ROLE", ROLE)
    monkeypatch.delenv("TEMPER_SAGEMAKER_STANDIN", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def test_an_account_in_order_is_let_through_by_reads_alone() -> None:
    account = Account()
    found = check_aws("eu-west-1", account, QUOTA)
    assert [(look.name, look.state) for look in found] == [
        ("credentials", "ok"),
        ("role", "ok"),
        ("bucket", "ok"),
        ("quota", "ok"),
    ]
    assert set(account.calls) == {
        "sts:get_caller_identity",
        "iam:get_role",
        "iam:simulate_principal_policy",
        "s3:head_bucket",
        "service-quotas:list_service_quotas",
    }


@pytest.mark.parametrize(
    "call", [("s3", "put_object"), ("sagemaker", "create_training_job"), ("iam", "create_role")]
)
def test_a_look_can_t_call_what_changes_anything(call: tuple[str, str]) -> None:
    service, name = call
    with pytest.raises(AttributeError, match="doesn't call"):
        getattr(Reader(service, object()), name)
    assert all(
        c.startswith(("get", "list", "describe", "head", "simulate"))
        for calls in READS.values()
        for c in calls
    )


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no credentials": ({"get_caller_identity": NoCredentialsError()}, "credentials", "log in"),
    "expired credentials": (
        {"get_caller_identity": _said("ExpiredToken")},
        "credentials",
        "log in",
    ),
    "no such role": ({"get_role": _said("NoSuchEntity")}, "role", "create it"),
    "a role SageMaker may not assume": (
        {"get_role": {"Role": {"AssumeRolePolicyDocument": {}}}},
        "role",
        "assume it",
    ),
    "no such bucket": ({"head_bucket": _said("404")}, "bucket", "create it"),
    "a bucket elsewhere": (
        {"head_bucket": {"BucketRegion": "us-east-1"}},
        "bucket",
        "region: us-east-1",
    ),
    "no quota": (
        {"list_service_quotas": {"Quotas": [{"QuotaName": QUOTA[0], "Value": 0.0}]}},
        "quota",
        "Service Quotas",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_refused_is_told_with_the_fix(what: str) -> None:
    answers, name, fix = REFUSED[what]
    found = check_aws("eu-west-1", Account(**answers), QUOTA)
    [look] = [look for look in found if look.state == "refused"]
    assert look.name == name
    assert fix in look.fix
    with pytest.raises(SetupError, match=f"preflight, {name}"):
        refuse(Preflight(backend="sagemaker", looks=tuple(found)))


def test_a_look_that_isn_t_allowed_stops_nothing() -> None:
    denied = _said("AccessDenied")
    account = Account(get_role=denied, head_bucket=denied, list_service_quotas=denied)
    found = check_aws("eu-west-1", account, QUOTA)
    assert [look.state for look in found] == ["ok", "unknown", "unknown", "unknown"]
    refuse(Preflight(backend="sagemaker", looks=tuple(found)))


def test_a_permission_that_may_lack_is_a_warning() -> None:
    lacking = {
        "EvaluationResults": [{"EvalActionName": "s3:PutObject", "EvalDecision": "implicitDeny"}]
    }
    found = check_aws("eu-west-1", Account(simulate_principal_policy=lacking), QUOTA)
    assert found[1].state == "warn"
    assert "s3:PutObject" in found[1].says


def test_role_and_store_have_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEMPER_SAGEMAKER_ROLE")
    monkeypatch.delenv("TEMPER_STORE")
    found = check_aws("eu-west-1", Account(), None)
    assert [(x.name, x.state) for x in found[1:]] == [("role", "refused"), ("bucket", "refused")]


def test_a_small_model_fits_and_a_large_one_doesn_t(tiny_model: LocalModel) -> None:
    found = check_sagemaker(_training(), tiny_model, LOAD, Account())
    assert found.ok
    assert found.estimate is not None
    assert found.estimate.cost is not None
    assert any("prices of" in a for a in found.estimate.assumptions)
    assert 0.5 < found.estimate.memory_gib < 1.5
    wide = {"micro_batch_tokens": 40_000_000}
    on_gpu = check_sagemaker(_training(**wide), tiny_model, LOAD, Account())
    assert [look.state for look in on_gpu.looks if look.name == "memory"] == ["warn"]
    tight = check_sagemaker(_training("ml.m5.large", **wide), tiny_model, LOAD, Account())
    look = tight.first_refused()
    assert look is not None
    assert (look.name, "micro_batch_tokens" in look.fix) == ("memory", True)


def test_the_context_has_to_hold_the_longest_row(tiny_model: LocalModel) -> None:
    found = check_sagemaker(_training(sequence_length=4096), tiny_model, LOAD, Account())
    look = found.first_refused()
    assert look is not None
    assert look.name == "context"
    assert "2048" in look.fix


def test_size_is_counted_from_headers(tiny_model: LocalModel) -> None:
    from transformers import AutoModelForCausalLM

    size = size_of(tiny_model.path)
    loaded = AutoModelForCausalLM.from_pretrained(tiny_model.path)
    assert size.parameters == loaded.num_parameters()
    assert (size.layers, size.hidden, size.positions) == (2, 64, 2048)


def test_spot_and_unknown_machines_change_the_cost() -> None:
    prices = read_prices()
    plain = estimate(ONE_B, _training(), LOAD, prices, 10**9)
    spot = estimate(ONE_B, _training(backend={"spot": True}), LOAD, prices, 10**9)
    assert plain.cost is not None
    assert spot.cost is not None
    assert spot.cost < plain.cost
    other = estimate(ONE_B, _training("ml.g7e.2xlarge"), LOAD, prices, 10**9)
    assert (other.cost, other.available_gib) == (None, None)


def test_the_price_table_is_dated_and_can_be_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = read_prices()
    assert isinstance(shipped.as_of, date)
    assert len(shipped.hourly) >= 20
    own = tmp_path / "prices.yaml"
    own.write_text(
        SHIPPED_PRICES.read_text().replace("ml.g5.2xlarge: 1.515", "ml.g5.2xlarge: 99.0")
    )
    monkeypatch.setenv("TEMPER_PRICES", str(own))
    assert read_prices().hourly["ml.g5.2xlarge"] == 99.0
    broken = tmp_path / "broken.yaml"
    broken.write_text(json.dumps({"currency": "USD"}))
    monkeypatch.setenv("TEMPER_PRICES", str(broken))
    with pytest.raises(SetupError, match="price table"):
        read_prices()
    assert Prices.model_fields.keys() >= {"spot_share", "hourly"}
