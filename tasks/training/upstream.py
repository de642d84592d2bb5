"""Every private or inner part of TRL, transformers, peft, accelerate and torch that is leant on.

An upgrade may move any of these without a word. The test beside this list says which did, and
where it is used; a private name that is used and isn't listed fails as well.
"""

from typing import NamedTuple


class InnerPart(NamedTuple):
    """One part that another package doesn't promise to keep.

    Attributes:
        owner: Where it lives, as ``module:class`` or ``module``.
        name: Of the method, the attribute, or the name in the module.
        parameters: What a method takes beside self, if it is one that is called or replaced.
        used_in: Module of this project.
        use: What for.
    """

    owner: str
    name: str
    parameters: tuple[str, ...] | None
    used_in: str
    use: str


_TRAINER = "transformers:Trainer"
_DPO, _GRPO = "trl:DPOTrainer", "trl:GRPOTrainer"
_MODEL = "transformers:PreTrainedModel"
_STEP, _SFT = "tasks.training.trainer_step", "tasks.training.sft"

INNER_PARTS: tuple[InnerPart, ...] = (
    InnerPart(
        _TRAINER,
        "training_step",
        ("model", "inputs", "num_items_in_batch"),
        _STEP,
        "replaced: a step is of the plan's rows, in micro-batches",
    ),
    InnerPart(_TRAINER, "get_train_dataloader", (), _STEP, "replaced: batches by step"),
    InnerPart(
        _TRAINER,
        "create_scheduler",
        ("num_training_steps", "optimizer"),
        _STEP,
        "extended: the first step has a rate",
    ),
    InnerPart(
        _TRAINER, "compute_loss_context_manager", (), _STEP, "autocast, as Trainer would have it"
    ),
    InnerPart(
        _TRAINER, "_load_best_model", (), "tasks.training.run", "weights of the best validation"
    ),
    InnerPart("torch.optim.lr_scheduler:LambdaLR", "lr_lambdas", None, _STEP, "the first step"),
    InnerPart("torch.optim.lr_scheduler:LRScheduler", "_last_lr", None, _STEP, "what is logged"),
    InnerPart(
        _DPO,
        "_prepare_dataset",
        ("dataset", "processing_class", "args", "dataset_name"),
        "tasks.training.dpo",
        "replaced: rows are tokenised already",
    ),
    InnerPart(
        _DPO,
        "compute_loss",
        ("model", "inputs", "return_outputs", "num_items_in_batch"),
        "tasks.training.dpo",
        "the loss of a micro-batch",
    ),
    InnerPart(_DPO, "_metrics", None, "tasks.training.dpo", "what TRL measured of a micro-batch"),
    InnerPart(_GRPO, "_metrics", None, "tasks.training.grpo", "what TRL measured of a step"),
    InnerPart(
        _GRPO,
        "_tokenize_prompts",
        ("prompts",),
        "tasks.training.grpo",
        "replaced: questions are tokenised already",
    ),
    InnerPart(
        _GRPO,
        "_generate_and_score_completions",
        ("inputs",),
        "tasks.training.grpo",
        "answers of a step, with their rewards",
    ),
    InnerPart(
        _GRPO, "_compute_loss", ("model", "inputs"), "tasks.training.grpo", "the loss of answers"
    ),
    InnerPart(
        _GRPO,
        "current_gradient_accumulation_steps",
        None,
        "tasks.training.grpo",
        "what TRL divides a loss by",
    ),
    InnerPart(
        "transformers.models.auto.modeling_auto",
        "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
        None,
        "tasks.training.job_checks",
        "the class a model type is loaded as",
    ),
    InnerPart(
        "transformers:AutoModelForCausalLM",
        "_model_mapping",
        None,
        "tasks.models.local.loading",
        "the class a config is loaded as",
    ),
    InnerPart(
        "transformers:AutoModel",
        "_model_mapping",
        None,
        "tasks.models.local.loading",
        "the classes of a model's parts",
    ),
    *(
        InnerPart(_MODEL, name, None, "tasks.models.local.loading", "attention a class has")
        for name in ("_supports_sdpa", "_supports_flash_attn", "_compatible_flash_implementations")
    ),
    InnerPart(
        "transformers:PretrainedConfig",
        "_attn_implementation",
        None,
        "tasks.training.run",
        "the attention that was trained with",
    ),
    InnerPart(
        "transformers:PretrainedConfig",
        "sub_configs",
        None,
        _SFT,
        "whether a model has parts beside its language model",
    ),
    *(
        InnerPart(
            "peft.tuners.lora.layer:LoraLayer",
            name,
            None,
            "tasks.training.lora_forward",
            "a layer with an adapter, in its short form",
        )
        for name in ("lora_A", "lora_B", "lora_dropout", "lora_variant", "scaling")
    ),
    InnerPart("accelerate.utils", "gather_object", ("object",), "tasks.training.callbacks", "rows"),
)
