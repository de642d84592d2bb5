"""What is refused before a job is started anywhere."""

import sys

import pytest

pytest.importorskip("torch")
from configs.training import Lora, Rewards, Training  # noqa: E402
from tasks.errors import TrainingError  # noqa: E402
from tasks.training.checks import check_job, check_targets  # noqa: E402
from tasks.training.job import make_job  # noqa: E402
from tasks.training.uploads import parts_of  # noqa: E402

PAYS_PLUS = "def polite(answer, reference, row):\n    return float('plus' in answer)\n"


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of the user's own on the path; gives a function that writes it."""
    monkeypatch.syspath_prepend(str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    sys.modules.pop("my_rewards", None)

    def write(text):
        (tmp_path / "own" / "my_rewards.py").write_text(text)
        sys.modules.pop("my_rewards", None)

    yield write
    sys.modules.pop("my_rewards", None)


@pytest.fixture
def rewarded(make_mixture, tiny_model):
    """A function that makes a job of rewards by name."""
    mixture = make_mixture("rft")

    def make(name):
        spec = Training(method="rft", rft=Rewards.model_validate({"functions": [{"name": name}]}))
        return make_job(tiny_model, mixture, spec, 3)

    return make


def test_an_adapter_for_layers_that_are_not_there_is_refused_with_those_that_are(tiny_model):
    with pytest.raises(TrainingError, match="no layer named qkv_proj") as raised:
        check_targets(tiny_model.path, Lora(targets=("qkv_proj", "o_proj")))
    assert "down_proj, embed_tokens, gate_proj, k_proj" in raised.value.fix


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj",), ("self_attn.q_proj", "up_proj")])
def test_layers_may_be_named_in_each_way_that_adapters_take(tiny_model, targets):
    check_targets(tiny_model.path, Lora(targets=targets))


def test_a_part_of_a_name_is_no_layer(tiny_model):
    with pytest.raises(TrainingError, match="no layer named proj"):
        check_targets(tiny_model.path, Lora(targets=("proj",)))


def test_a_reward_of_one_s_own_is_tried_before_anything_starts(own_module, rewarded):
    own_module(PAYS_PLUS)
    check_job(rewarded("my_rewards:polite"))
    own_module("def polite(answer, reference, row):\n    return reference['no such key']\n")
    with pytest.raises(TrainingError, match="failed on a row: TypeError"):
        check_job(rewarded("my_rewards:polite"))


def test_a_module_that_is_not_there_is_named(rewarded):
    with pytest.raises(TrainingError, match="there is no module not_there"):
        rewarded("not_there:polite")


def test_an_edited_reward_is_another_training(own_module, rewarded):
    own_module(PAYS_PLUS)
    first = rewarded("my_rewards:polite").key
    assert rewarded("my_rewards:polite").key == first
    own_module(PAYS_PLUS.replace("plus", "minus"))
    assert rewarded("my_rewards:polite").key != first


def test_a_reward_of_one_s_own_travels_with_the_job(own_module, rewarded):
    own_module(PAYS_PLUS)
    kind, _, files = parts_of(rewarded("my_rewards:polite"), code=False)["rewards"]
    assert kind == "rewards"
    assert {name: path.read_text() for name, path in files.items()} == {"my_rewards.py": PAYS_PLUS}
