"""The requests as pure functions: CreateTrainingJob for serverless, a recipe file for HyperPod."""

import json
from typing import Any, NamedTuple

from configs.nova import HyperPod, NovaBackend
from tasks.training.backends.nova.job import NovaJob

Request = dict[str, Any]

HUB = "SageMakerPublicHub"
DEFAULT_RATES = {"lora": 1e-5, "full": 5e-6}
"""AWS's own learning rates, which its guide says to keep."""

MODEL_TYPES = {
    "nova-textgeneration-lite-v2": "amazon.nova-2-lite-v1:0:256k",
    "nova-textgeneration-micro": "amazon.nova-micro-v1:0:128k",
    "nova-textgeneration-lite": "amazon.nova-lite-v1:0:300k",
    "nova-textgeneration-pro": "amazon.nova-pro-v1:0:300k",
}
MODEL_PATHS = {
    "nova-textgeneration-lite-v2": "nova-lite-2/prod",
    "nova-textgeneration-micro": "nova-micro/prod",
    "nova-textgeneration-lite": "nova-lite/prod",
    "nova-textgeneration-pro": "nova-pro/prod",
}


class NovaPlaced(NamedTuple):
    """Where a job's rows are and who it runs as.

    Attributes:
        data: S3 address of the JSONL.
        output: S3 address for what the job writes.
    """

    role: str
    region: str
    data: str
    output: str


def job_name(key: str, attempt: int) -> str:
    """Return the name of a training's attempt: the same training is always found by it."""
    return f"temper-nova-{key[:32]}-{attempt}"


def model_arn(backend: NovaBackend, region: str) -> str:
    """Return the base model's ARN in the public hub."""
    version = f"/{backend.model_version}" if backend.model_version else ""
    return f"arn:aws:sagemaker:{region}:aws:hub-content/{HUB}/Model/{backend.model}{version}"


def serverless_request(job: NovaJob, placed: NovaPlaced, attempt: int) -> Request:
    """Return the CreateTrainingJob request of a serverless job: no machines are named."""
    backend = job.backend
    config = {
        "BaseModelArn": model_arn(backend, placed.region),
        "AcceptEula": backend.accept_eula,
        "JobType": "FineTuning",
        "CustomizationTechnique": "SFT",
    }
    request: Request = {
        "TrainingJobName": job_name(job.key, attempt),
        "RoleArn": placed.role,
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "Converse",
                        "S3Uri": placed.data,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
            }
        ],
        "OutputDataConfig": {
            "S3OutputPath": placed.output,
            **({"KmsKeyId": backend.kms_key} if backend.kms_key else {}),
        },
        "ServerlessJobConfig": config | ({"Peft": "LORA"} if backend.peft == "lora" else {}),
        "HyperParameters": hyperparameters(job),
        "ModelPackageConfig": {"ModelPackageGroupArn": backend.model_package_group},
        "StoppingCondition": {"MaxRuntimeInSeconds": backend.max_runtime_hours * 3600},
        "Tags": _tags(job, attempt),
    }
    if backend.mlflow_arn:
        request["MlflowConfig"] = {
            "MlflowResourceArn": backend.mlflow_arn,
            "MlflowExperimentName": job.name,
            "MlflowRunName": job_name(job.key, attempt),
        }
    return request | network(backend)


def network(backend: NovaBackend) -> Request:
    """Return the part of a request that says which network the job is in."""
    if backend.vpc is None:
        return {}
    return {
        "VpcConfig": {
            "Subnets": list(backend.vpc.subnets),
            "SecurityGroupIds": list(backend.vpc.security_groups),
        }
    }


def hyperparameters(job: NovaJob) -> dict[str, str]:
    """Return the flat hyperparameters, strings all; what isn't set is left to AWS's recipe."""
    backend = job.backend
    found = {
        "max_steps": str(job.steps),
        "max_length": str(backend.max_length),
        "global_batch_size": str(backend.global_batch_size),
        "reasoning_enabled": "true" if backend.reasoning else "false",
    }
    if backend.learning_rate is not None:
        found["learning_rate"] = f"{backend.learning_rate:g}"
    return found | (job.mix.flat() if job.mix is not None else {})


def hyperpod_recipe(job: NovaJob, placed: NovaPlaced, attempt: int) -> Request:
    """Return the recipe that the HyperPod command line is given, before its YAML form."""
    backend = job.backend
    assert backend.hyperpod is not None
    run = {
        "name": job_name(job.key, attempt),
        "model_type": MODEL_TYPES[backend.model],
        "model_name_or_path": MODEL_PATHS[backend.model],
        "replicas": backend.hyperpod.nodes,
        "data_s3_path": placed.data,
        "output_s3_path": placed.output,
    }
    if backend.mlflow_arn:
        run |= {
            "mlflow_tracking_uri": backend.mlflow_arn,
            "mlflow_experiment_name": job.name,
            "mlflow_run_name": run["name"],
        }
    recipe: Request = {"run": run, "training_config": _training_config(job)}
    if job.mix is not None:
        recipe["data_mixing"] = job.mix.nested(backend.data_categories)
    return recipe


def _training_config(job: NovaJob) -> Request:
    backend = job.backend
    rate = backend.learning_rate or DEFAULT_RATES[backend.peft]
    found: Request = {
        "max_steps": job.steps,
        "save_steps": job.steps,
        "save_top_k": 1,
        "max_length": backend.max_length,
        "global_batch_size": backend.global_batch_size,
        "lr_scheduler": {"warmup_steps": backend.warmup_steps, "min_lr": 1e-6},
        "optim_config": {"lr": rate, "weight_decay": 0.0, "adam_beta1": 0.9, "adam_beta2": 0.95},
    }
    if backend.method == "sft":
        found["reasoning_enabled"] = backend.reasoning
        found["peft"] = (
            {
                "peft_scheme": "lora",
                "lora_tuning": {"alpha": backend.lora_alpha, "lora_plus_lr_ratio": 64.0},
            }
            if backend.peft == "lora"
            else {"peft_scheme": "null"}
        )
    return found


def hyperpod_commands(job: NovaJob, recipe_file: str) -> list[list[str]]:
    """Return the commands that submit a HyperPod job: connect, then start."""
    pod = job.backend.hyperpod
    assert pod is not None
    return [
        [
            "hyperpod",
            "connect-cluster",
            "--cluster-name",
            pod.cluster,
            "--namespace",
            pod.namespace,
        ],
        start_command(pod, recipe_file),
    ]


def start_command(pod: HyperPod, recipe_file: str) -> list[str]:
    """Return the command that starts a job of a recipe."""
    over = {"instance_type": pod.instance_type} | (
        {"container": pod.container} if pod.container else {}
    )
    return [
        "hyperpod",
        "start-job",
        "--namespace",
        pod.namespace,
        "--recipe",
        recipe_file,
        "--override-parameters",
        json.dumps(over),
    ]


def _tags(job: NovaJob, attempt: int) -> list[dict[str, str]]:
    ours = {"temper:key": job.key, "temper:rows": job.rows.digest, "temper:attempt": str(attempt)}
    return [{"Key": k, "Value": v} for k, v in {**job.backend.tags, **ours}.items()]
