"""Shared fixtures: an isolated TEMPER_HOME and a tiny model that needs no download."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

settings.register_profile("temper", max_examples=60, deadline=None)
settings.load_profile("temper")

# Tests run side by side, a process a core; math threads of their own would only get in the way.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
TINY = ROOT / "tests" / "flows" / "tiny"

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no process ends long after the others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def temper_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TEMPER_HOME of this test's own."""
    home = tmp_path / "home"
    monkeypatch.setenv("TEMPER_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets beside the checkout, where someone has put them."""
    if not SHARED.is_dir():
        pytest.skip("the public data sets are not beside this checkout (../shared/data)")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with its own byte-level BPE tokenizer and chat template."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny")
    corpus = [f"Question: what is {i} plus {i + 1}? Answer: {2 * i + 1}" for i in range(200)]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    special = ["<pad>", "<bos>", "<eos>", "<|user|>", "<|assistant|>", "<|system|>"]
    bpe.train_from_iterator(
        [*corpus, " A", " B", " C", " D"],
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=special,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> "LocalModel":  # noqa: F821
    """The tiny model's receipt."""
    from tasks.artifacts import LocalModel
    from tasks.storage import file_digest

    return LocalModel(
        path=tiny_model_folder,
        name="tiny",
        digest=file_digest(tiny_model_folder / "model.safetensors"),
        tokenizer_digest=file_digest(tiny_model_folder / "tokenizer.json"),
    )


@pytest.fixture(scope="session")
def tiny_fields(tiny_model_folder: Path) -> dict[str, Any]:
    """The tiny recipe's fields: 24 domain rows to train on, 20 general ones, two steps."""
    text = (TINY / "recipe.yaml").read_text()
    text = text.replace("TINY_MODEL", str(tiny_model_folder)).replace("TINY_DATA", str(TINY))
    return dict(yaml.safe_load(text))


@pytest.fixture(scope="session")
def tiny_recipe(tiny_fields: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny recipe as a file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_fields, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def moto_address() -> Iterator[str]:
    """The address of a moto server of this process's own."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def open_account(moto_address: str) -> Callable[[pytest.MonkeyPatch, Mapping[str, str]], Any]:
    """Opens an empty AWS account with a bucket as TEMPER_STORE and a role; gives its S3 client."""

    def opened(patch: pytest.MonkeyPatch, more: Mapping[str, str]) -> Any:
        import boto3
        import httpx

        httpx.post(f"{moto_address}/moto-api/reset")
        settings = {
            "AWS_ENDPOINT_URL": moto_address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "TEMPER_STORE": "s3://temper-tests/store",
            "TEMPER_SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/temper-job",
        }
        for name, value in {**settings, **more}.items():
            patch.setenv(name, value)
        trust = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"Service": "sagemaker.amazonaws.com"},
                }
            ]
        }
        boto3.client("iam", region_name="us-east-1").create_role(
            RoleName="temper-job", AssumeRolePolicyDocument=json.dumps(trust)
        )
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="temper-tests")
        return client

    return opened
