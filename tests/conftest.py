"""Shared fixtures: an isolated TEMPER_HOME and a tiny model that needs no download."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import fork_server
import pytest
import yaml
from hypothesis import settings

settings.register_profile("quick", max_examples=20, deadline=None)
settings.register_profile("long", max_examples=200, deadline=None)
settings.load_profile("quick")

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the properties, before they are chosen by their marks; begin with what takes long.

    So no process ends long after the others.
    """
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
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


Once = Callable[[str, Callable[[Path], Any]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A function that has a folder filled once a run, by whichever process is the first to ask."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once"
    shared.mkdir(exist_ok=True)

    def folder(name: str, fill: Callable[[Path], Any]) -> Path:
        place, filled = shared / name, shared / f"{name}.filled"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not filled.exists():
                shutil.rmtree(place, ignore_errors=True)
                place.mkdir()
                fill(place)
                filled.touch()
        return place

    return folder


@pytest.fixture(scope="session")
def python(once: Once) -> Path:
    """An executable that stands in for Python: its processes are forked, with much imported."""
    owner = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return once("fork", lambda folder: fork_server.start(folder, owner)) / fork_server.NAME


@pytest.fixture
def forked(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has all that a test starts as Python forked; that it is a new Python is not the point."""
    monkeypatch.setattr(sys, "executable", str(python))


MIGRATE = """
import asyncio
from prefect.server.database import provide_database_interface
asyncio.run(provide_database_interface().create_db())
"""


@pytest.fixture(scope="session")
def prefect_tables(once: Once, python: Path) -> Path:
    """An empty database as Prefect makes it, in a hundred migrations, for servers to begin with.

    To be copied to PREFECT_HOME, where a server that is told of no other has its database.
    """

    def migrate(folder: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")}
        env = kept | {"PREFECT_HOME": str(folder)}
        subprocess.run([python, "-c", MIGRATE], env=env, check=True)

    return once("prefect-tables", migrate) / "prefect.db"


@pytest.fixture(scope="session")
def prefect_api(
    python: Path, prefect_tables: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a Prefect server of this process's own, with whatever others left in it."""
    import httpx

    home = tmp_path_factory.mktemp("prefect")
    shutil.copy(prefect_tables, home)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    program = ["-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    options = ["--host", "127.0.0.1", "--port", port, "--log-level", "error", "--lifespan", "on"]
    own = {
        "PREFECT_HOME": str(home),
        "PREFECT_UI_ENABLED": "0",
        "PREFECT__SERVER_EPHEMERAL": "1",
        "PREFECT__SERVER_FINAL": "1",
    }
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [str(python), *program, *options],
            env={k: v for k, v in os.environ.items() if not k.startswith("PREFECT_API")} | own,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    address, deadline = f"http://127.0.0.1:{port}/api", time.monotonic() + 300
    try:
        while not _answers(httpx, f"{address}/health"):
            assert server.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, "the Prefect server does not answer"
            time.sleep(0.1)
        yield address
        # What is still to be told to the server can't be told later.
        from prefect.events.worker import EventsWorker
        from prefect.logging.handlers import APILogWorker

        APILogWorker.drain_all()
        EventsWorker.drain_all()
    finally:
        server.terminate()
        server.wait(30)


def _answers(httpx: Any, address: str) -> bool:
    try:
        return bool(httpx.get(address).is_success)
    except httpx.TransportError:
        return False


FlowsAt = Callable[[Path], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def flows_at(prefect_api: str) -> FlowsAt:
    """A function that has this process run its flows at the server, as of a PREFECT_HOME.

    The server knows of all flow runs before, too: what a test looks for must be its own.
    """

    @contextmanager
    def settings(home: Path) -> Iterator[str]:
        from prefect.settings import (
            PREFECT_API_URL,
            PREFECT_HOME,
            PREFECT_LOCAL_STORAGE_PATH,
            temporary_settings,
        )

        own = {PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "storage"}
        with temporary_settings({**own, PREFECT_API_URL: prefect_api}):
            yield prefect_api

    return settings


@pytest.fixture
def prefect_server(flows_at: FlowsAt, tmp_path: Path) -> Iterator[str]:
    """The server's address, for a test whose own flows are run there."""
    with flows_at(tmp_path / "prefect") as address:
        yield address


@pytest.fixture(scope="session")
def tiny_model_folder(once: Once) -> Path:
    """A random two-layer Llama with its own byte-level BPE tokenizer and chat template."""
    pytest.importorskip("torch")
    return once("tiny", _write_tiny_model)


def _write_tiny_model(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

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
