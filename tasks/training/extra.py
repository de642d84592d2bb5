"""Settings of TRL's own configurations that a recipe may pass on, and those it may not."""

import dataclasses
import difflib

from configs.training import Training
from tasks.errors import TrainingError
from tasks.training.factory import CONFIGS, own_settings

_EVERYWHERE = frozenset(
    {
        "activation_checkpointing_kwargs",
        "adam_epsilon",
        "ddp_broadcast_buffers",
        "ddp_bucket_cap_mb",
        "ddp_static_graph",
        "ddp_timeout",
        "full_determinism",
        "gradient_checkpointing_kwargs",
        "liger_kernel_config",
        "log_level",
        "log_level_replica",
        "log_on_each_node",
        "lr_scheduler_kwargs",
        "neftune_noise_alpha",
        "optim_args",
        "optim_target_modules",
        "save_on_each_node",
        "tf32",
        "torch_empty_cache_steps",
    }
)
_PREFERENCES = frozenset(
    {
        "activation_offloading",
        "disable_dropout",
        "discopop_tau",
        "f_alpha_divergence_coef",
        "f_divergence_type",
        "label_smoothing",
        "ld_alpha",
        "loss_weights",
        "ref_model_mixup_alpha",
        "ref_model_sync_steps",
        "router_aux_loss_coef",
        "sync_ref_model",
        "use_weighting",
    }
)
_REWARDS = frozenset(
    {
        "cache_implementation",
        "cast_lm_head_to_fp32",
        "delta",
        "disable_dropout",
        "entropy_coef",
        "entropy_coef_delta",
        "entropy_coef_max",
        "entropy_coef_min",
        "entropy_target",
        "epsilon_high",
        "generation_kwargs",
        "importance_sampling_level",
        "mask_truncated_completions",
        "min_p",
        "multi_objective_aggregation",
        "off_policy_mask_threshold",
        "ref_model_mixup_alpha",
        "ref_model_sync_steps",
        "repetition_penalty",
        "sapo_temperature_neg",
        "sapo_temperature_pos",
        "sync_ref_model",
        "top_entropy_quantile",
        "top_k",
        "use_adaptive_entropy",
        "use_bias_correction_kl",
        "vespo_k_neg",
        "vespo_k_pos",
        "vespo_lambda_neg",
        "vespo_lambda_pos",
    }
)
HONOURED = {
    "sft": _EVERYWHERE | {"activation_offloading"},
    "cpt": _EVERYWHERE | {"activation_offloading"},
    "dpo": _EVERYWHERE | _PREFERENCES,
    "rft": _EVERYWHERE | _REWARDS,
}
"""Settings of TRL's that a method does as TRL does, beside those that the recipe has a key for.

Others would be taken and do nothing: rows are tokenised, ordered, packed and counted here, and the
loss of answers and texts is, too.
"""


def check_extra(training: Training) -> None:
    """Refuse settings in ``extra`` that TRL doesn't have, the recipe makes, or nothing would do.

    Raises:
        TrainingError: One is; the first by name.
    """
    config, honoured = CONFIGS[training.method], HONOURED[training.method]
    known = {field.name for field in dataclasses.fields(config) if field.init}
    given = ("output_dir", "max_steps", "warmup_steps", "seed", "data_seed", "fsdp", "fsdp_config")
    own = own_settings(training, 2).keys() | set(given)
    for name in sorted(training.extra):
        where = f"training.extra.{name}"
        if name in own:
            raise TrainingError(
                f"{name} is set by the recipe itself.",
                where=where,
                fix="leave it out, and use the recipe's own key.",
            )
        if name not in known:
            close = difflib.get_close_matches(name, honoured, 3)
            raise TrainingError(
                f"{config.__name__} has no setting {name}.",
                where=where,
                fix=f"take one that it has, e.g. {', '.join(close)}." if close else "leave it out.",
            )
        if name not in honoured:
            raise TrainingError(
                f"{name} would do nothing in method {training.method}.",
                where=where,
                fix=f"leave it out; what is done: {', '.join(sorted(honoured))}.",
            )
