import pytest

pytest.importorskip("trl")

from pydantic import ValidationError

from configs.backends import LocalBackend
from configs.nova import NovaBackend
from configs.training import Reward, Rft, Training
from tasks.errors import TrainingError
from tasks.training.extra import HONOURED, check_extra
from tasks.training.factory import CONFIGS, arguments

REWARDED = {"rft": Rft(functions=(Reward(name="length"),))}


def section(method="sft", **extra):
    return Training(
        method=method, extra=extra, backend=LocalBackend(), **(REWARDED if method == "rft" else {})
    )


@pytest.mark.parametrize("method", CONFIGS)
def test_what_a_method_honours_are_settings_of_its_own_that_no_key_makes(method):
    for name in HONOURED[method]:
        check_extra(section(method, **{name: 1}))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("learning_rate", "set by the recipe itself"),
        ("max_steps", "set by the recipe itself"),
        ("fsdp", "set by the recipe itself"),
        ("adam_epsilom", "no setting adam_epsilom.*adam_epsilon"),
        ("packing", "packing would do nothing in method sft"),
        ("trust_remote_code", "would do nothing"),
        ("push_to_hub", "would do nothing"),
    ],
)
def test_what_the_recipe_makes_or_nothing_would_do_is_refused_by_name(name, said):
    with pytest.raises(TrainingError, match=f"(?s){said}") as error:
        check_extra(section(**{name: True}))
    assert f"training.extra.{name}" in error.value.paragraph()


def test_a_setting_reaches_trl_and_is_part_of_the_key(mixture, make_training_job, tmp_path):
    plain = make_training_job(mixture)
    job = make_training_job(mixture, extra={"adam_epsilon": 1e-5, "neftune_noise_alpha": 5})
    assert job.key != plain.key
    made = arguments(job, tmp_path, 1)
    assert (made.adam_epsilon, made.neftune_noise_alpha) == (1e-5, 5)
    assert arguments(plain, tmp_path, 1).adam_epsilon == 1e-8


def test_quantization_goes_with_an_adapter():
    with pytest.raises(ValidationError, match="quantization needs an adapter"):
        Training(quantization="4bit", adapter=None)


def test_a_service_with_a_trainer_of_its_own_takes_no_settings_of_trl(tiny_model):
    from tasks.training.job_checks import check_base

    backend = NovaBackend.model_construct(kind="nova")
    training = Training(extra={"adam_epsilon": 1}).model_copy(update={"backend": backend})
    with pytest.raises(TrainingError, match="nova trains by a service of its own"):
        check_base(tiny_model, training)
