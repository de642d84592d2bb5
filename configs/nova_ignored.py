"""Options that Nova's service has no place for: refused, so that nobody sets one in vain."""

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from configs.nova import NovaBackend
from configs.section import rule_error
from configs.training import Training

HONOURED = ("method", "adapter", "sequence_length", "overflow", "max_overlong_loss", "backend")
"""Fields of ``training`` that have an effect: how long rows may be, and what is trained."""

INSTEAD = {
    "learning_rate": "give training.backend.learning_rate",
    "batch_rows": "give training.backend.global_batch_size",
    "warmup_ratio": "take it out; on HyperPod training.backend.warmup_steps can be given",
    "alpha": "take it out; on HyperPod training.backend.lora_alpha can be given",
}
TAKE_OUT = "take it out, or train by another backend"

SERVERLESS = ("warmup_steps", "lora_alpha")
"""Fields of the backend that only a HyperPod recipe has: the documented serverless request has
no hyperparameter of that meaning."""

HYPERPOD = (
    "model_version",
    "model_package_group",
    "kms_key",
    "vpc",
    "tags",
    "max_runtime_hours",
    "patience_minutes",
)
"""Fields of the backend that only a serverless request has."""


def check_ignored(training: Training, backend: NovaBackend) -> None:
    """Refuse options that were set and would change nothing.

    Raises:
        PydanticCustomError: With the path in the recipe and what to do instead.
    """
    for name in list_given_fields(training):
        if name not in HONOURED:
            raise _refusal(("training", name), "Nova's service takes no such option")
    _check_adapter(training, backend)
    for name, why in _unsent(backend).items():
        if name in list_given_fields(backend) and _asks(getattr(backend, name)):
            raise _refusal(("training", "backend", name), why)


def _asks(value: object) -> bool:
    """Return whether a value asks for something: nothing, no tags and no reasoning don't."""
    return not (value is None or value is False or value == {})


def list_given_fields(section: BaseModel) -> list[str]:
    """Return the fields that someone set, in the order of their declaration.

    A recipe that was written out whole, as locks and forms do, sets every field: there those count
    that differ from their defaults.
    """
    fields, names = type(section).model_fields, set(section.model_fields_set)
    if len(names) == len(fields):
        names = {
            n
            for n, f in fields.items()
            if getattr(section, n) != f.get_default(call_default_factory=True)
        }
    return [name for name in fields if name in names]


def _check_adapter(training: Training, backend: NovaBackend) -> None:
    if "adapter" not in list_given_fields(training) or training.adapter is None:
        return
    if backend.peft == "full":
        raise _refusal(("training", "adapter"), "peft: full trains all parameters")
    for name in list_given_fields(training.adapter):
        if name != "kind":
            raise _refusal(
                ("training", "adapter", name), "Nova's adapters have no such option here"
            )


def _unsent(backend: NovaBackend) -> dict[str, str]:
    """Return the fields of the backend that are not sent, with the reason."""
    if backend.hyperpod is None:
        found = dict.fromkeys(SERVERLESS, "a serverless job takes no such option")
    else:
        found = dict.fromkeys(HYPERPOD, "a HyperPod job takes no such option")
    if backend.method == "cpt":
        found |= dict.fromkeys(("lora_alpha", "reasoning"), "continued pre-training has none")
        if backend.peft == "lora":
            found["peft"] = "continued pre-training has no adapter"
    elif backend.peft == "full":
        found["lora_alpha"] = "peft: full has no adapter"
    return found


def _refusal(path: tuple[str, ...], why: str) -> PydanticCustomError:
    fix = INSTEAD.get(path[-1], TAKE_OUT)
    if path[:2] == ("training", "backend"):
        fix = "take it out"
    return rule_error(f"{why}, and it would be ignored.", path=path, fix=f"{fix}.")
