"""A recipe for Nova from its data to its gates: S3 is moto's, the service is played here."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from configs.loading import load_recipe
from configs.recipe import Recipe
from tasks.errors import RecipeError, TrainingError
from tasks.training.backends.sagemaker.standin.rules import problems

pytest.importorskip("moto")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
Fields = dict[str, Any]
GROUP = "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/temper"
PACKAGE = "arn:aws:sagemaker:us-east-1:123456789012:model-package/temper/1"


class Service:
    """Nova's service: a training is done at once; an evaluation leaves its files in the bucket."""

    def __init__(self, s3: Any, answer: Callable[[str, bool], str]) -> None:
        self._s3, self._answer = s3, answer
        self.requests: list[dict[str, Any]] = []

    def create_training_job(self, **request: Any) -> dict[str, Any]:
        assert problems(request) == []
        self.requests.append(request)
        if request["ServerlessJobConfig"]["JobType"] == "Evaluation":
            self._evaluate(request)
        return {}

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:  # noqa: N803
        from botocore.exceptions import ClientError

        if TrainingJobName not in [r["TrainingJobName"] for r in self.requests]:
            raise ClientError({"Error": {"Code": "ResourceNotFound", "Message": "none"}}, "D")
        return {"TrainingJobStatus": "Completed", "OutputModelPackageArn": PACKAGE}

    def _evaluate(self, request: dict[str, Any]) -> None:
        name = request["TrainingJobName"]
        folder = f"store/outputs/{name}/output/output/None/eval_results"
        tuned, metric = "ModelPackageConfig" in request, request["HyperParameters"]["metric"]
        block, told = "all", {metric: 0.8 if tuned else 0.75, f"{metric}_stderr": 0.004}
        for channel in request.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            text = self._got(uri.removeprefix("s3://temper-tests/"))
            block, told = "custom|gen_qa_gen_qa|0", {"em": 0.0}
            rows = [json.loads(line) for line in text.splitlines()]
            # In another order than asked.
            said = [
                {
                    "prompt": str([{"role": "user", "content": r["query"]}]),
                    "inference": str([self._answer(r["query"], tuned)]),
                    "gold": r["response"],
                    "metadata": r["metadata"],
                }
                for r in reversed(rows)
            ]
            self._put(f"{folder}/inference_output.jsonl", "\n".join(map(json.dumps, said)))
        self._put(f"{folder}/results_1.json", json.dumps({"results": {block: told}}))

    def _got(self, key: str) -> str:
        return str(self._s3.get_object(Bucket="temper-tests", Key=key)["Body"].read().decode())

    def _put(self, key: str, text: str) -> None:
        self._s3.put_object(Bucket="temper-tests", Key=key, Body=text.encode())


@pytest.fixture(scope="module")
def account(
    open_account: Any, flows_at: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """AWS on loopback, one TEMPER_HOME and one Prefect server; gives the S3 client."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch, flows_at(home / "prefect"):
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        client = open_account(
            patch,
            {
                "TEMPER_SAGEMAKER_STANDIN": str(home / "standin"),
                "TEMPER_HOME": str(home),
            },
        )
        yield client


@pytest.fixture
def service(account: Any, tiny_fields: Fields, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A service whose trained models know every label, and whose base knows none."""
    text = Path(tiny_fields["sources"][0]["path"]).read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    labels = {r["review"]: r["category"] for r in rows}

    def answer(query: str, tuned: bool) -> str:
        found = next(label for review, label in labels.items() if query.endswith(review))
        return found if tuned else f"I'd say it's \"{found}\" or so"

    made = Service(account, answer)
    monkeypatch.setattr("tasks.training.backends.nova.service.open_sagemaker", lambda _: made)
    return made


@pytest.fixture
def recipe(tiny_fields: Fields) -> Callable[..., Recipe]:
    """A function from gates, and fields of the backend, to the tiny recipe for Nova."""

    def made(*gates: Fields, **backend: Any) -> Recipe:
        fields = deepcopy(tiny_fields)
        theirs = {"kind": "nova", "name": "nova-if", "category": "instruction-following"}
        backend = {"kind": "nova", "accept_eula": True, "model_package_group": GROUP, **backend}
        suites = [{"kind": "nova_benchmark", "name": "knows", "task": "mmlu"}]
        fields["sources"].append(theirs)
        fields["mixture"] |= {"unit": "rows", "max_epochs": 20, "size": {"domain_epochs": 10}}
        fields["training"] = {"backend": backend}
        fields["evaluation"]["suites"] += suites
        return load_recipe({**fields, "gates": list(gates)})

    return made


IMPROVE = {"metric": "reviews/accuracy", "rule": "improve", "by": 0.1}
KNOWS = {"metric": "knows/accuracy", "rule": "hold", "margin": 0.02}


def test_a_nova_model_is_judged_on_its_answers_and_shown_by_its_benchmarks(
    service: Service, recipe: Callable[..., Recipe]
) -> None:
    from flows.cli.commands import run
    from flows.report import find_report

    asked = recipe(IMPROVE, {**KNOWS, "on_inconclusive": "warn"})
    said = run(asked)
    jobs = [r["ServerlessJobConfig"]["JobType"] for r in service.requests]
    assert jobs == ["FineTuning", *["Evaluation"] * 4]
    sources = [
        r.get("ModelPackageConfig", {}).get("SourceModelPackageArn") for r in service.requests[1:]
    ]
    assert sources == [None, None, PACKAGE, PACKAGE]
    report = find_report(said.json["run_id"])
    improve, knows = report.gates
    assert (improve.verdict, improve.base, improve.candidate) == ("PASS", 0.0, 1.0)
    assert improve.n == 16
    assert (knows.verdict, knows.base, knows.candidate) == ("INCONCLUSIVE", 0.75, 0.8)
    assert (report.verdict, said.exit_code) == ("PASS", 0)
    assert report.scorecard.is_file()
    assert "without its items" in report.scorecard.read_text()
    said.print(as_json=False)

    # Again, as after a crash: everything is found, nothing is asked a second time.
    again = find_report(run(asked).json["run_id"])
    assert len(service.requests) == 5
    assert again.metrics == report.metrics


def test_a_gate_that_can_not_be_judged_is_refused_before_anything_is_submitted(
    service: Service, recipe: Callable[..., Recipe]
) -> None:
    from flows.finetune import finetune

    letters = {"metric": "mmlu/letter_mass", "rule": "hold", "margin": 0.2}
    with pytest.raises(RecipeError, match="needs log-probabilities"):
        finetune(recipe(letters))
    assert service.requests == []


def test_a_dry_run_prints_every_request_and_sends_nothing(
    service: Service, recipe: Callable[..., Recipe]
) -> None:
    from flows.cli.commands import run
    from flows.finetune import finetune

    dry = recipe(IMPROVE, dry_run=True)
    request = run(dry).json["request"]
    assert problems(request["CreateTrainingJob"]) == []
    assert [e["suite"] for e in request["evaluations"]] == ["reviews", "knows"]
    assert all(problems(e["CreateTrainingJob"]) == [] for e in request["evaluations"])
    with pytest.raises(TrainingError, match="nothing was uploaded or submitted"):
        finetune(dry)
    assert service.requests == []
