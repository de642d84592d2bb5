"""Tiny random models of the families that people train, made by transformers' own configs.

Every one has a few narrow layers and 300 tokens. Weights are larger than at a usual start, so that
attention and states matter to what comes out, and windows are short, so that they are exceeded.
"""

from typing import Any

TOKENS = 300
_SPECIAL = {"vocab_size": TOKENS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_PLAIN: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_HEAD: dict[str, Any] = {**_PLAIN, "head_dim": 16}
_WIDE: dict[str, Any] = {**_PLAIN, "num_key_value_heads": 4}
_WINDOW = {"sliding_window": 16}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
_DELTA = {
    "num_hidden_layers": 4,
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "layer_types": ["linear_attention"] * 3 + ["full_attention"],
}
_STATE = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 8}
_LATENT: dict[str, Any] = {
    **_WIDE,
    "kv_lora_rank": 16,
    "q_lora_rank": 24,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "moe_intermediate_size": 32,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
_OLD = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}
_VISION = {"hidden_size": 32, "intermediate_size": 32, "image_size": 28, "patch_size": 14}
_TEXT = {**_HEAD, **_SPECIAL}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "apertus": ("apertus", _PLAIN),
    "arcee": ("arcee", _PLAIN),
    "bamba": ("bamba", {**_PLAIN, "attn_layer_indices": [1], "mamba_n_groups": 1, **_STATE}),
    "bloom": ("bloom", {"hidden_size": 64, "n_layer": 2, "n_head": 4}),
    "codegen": ("codegen", {**_OLD, "rotary_dim": 8}),
    "cohere": ("cohere", {**_PLAIN, "logit_scale": 0.25}),
    "cohere2": ("cohere2", {**_PLAIN, **_WINDOW, "num_hidden_layers": 4, "logit_scale": 0.25}),
    "deepseek_v2": ("deepseek_v2", {**_LATENT, "topk_method": "greedy"}),
    "deepseek_v3": ("deepseek_v3", _LATENT),
    "ernie4_5": ("ernie4_5", _HEAD),
    "exaone4": ("exaone4", {**_PLAIN, **_WINDOW, "num_hidden_layers": 4}),
    "falcon": ("falcon", {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}),
    "falcon_alibi": (
        "falcon",
        {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": True},
    ),
    "falcon_h1": (
        "falcon_h1",
        {**_HEAD, "mamba_d_ssm": 64, "mamba_n_groups": 1, **_STATE, "mamba_n_heads": 4},
    ),
    "falcon_mamba": ("falcon_mamba", {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}),
    "gemma": ("gemma", _HEAD),
    "gemma2": ("gemma2", {**_HEAD, **_WINDOW, "attn_logit_softcapping": 5.0}),
    "gemma3": ("gemma3_text", {**_HEAD, **_WINDOW, "num_hidden_layers": 6}),
    "gemma4": ("gemma4_text", {**_HEAD, **_WINDOW, "vocab_size_per_layer_input": TOKENS}),
    "glm": ("glm", _HEAD),
    "glm4": ("glm4", _HEAD),
    "glm4_moe": ("glm4_moe", {**_LATENT, "head_dim": 16}),
    "gpt2": ("gpt2", _OLD),
    "gpt_bigcode": ("gpt_bigcode", _OLD),
    "gpt_neo": (
        "gpt_neo",
        {
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 16,
            "max_position_embeddings": 512,
        },
    ),
    "gpt_neox": ("gpt_neox", _PLAIN),
    "gpt_oss": ("gpt_oss", {**_HEAD, **_LOCAL, **_WINDOW}),
    "gptj": ("gptj", {**_OLD, "rotary_dim": 8}),
    "granite": ("granite", {**_PLAIN, "logits_scaling": 4.0, "residual_multiplier": 0.5}),
    "granitemoe": ("granitemoe", {**_PLAIN, **_LOCAL}),
    "granitemoehybrid": (
        "granitemoehybrid",
        {
            **_PLAIN,
            **_STATE,
            "layer_types": ["mamba", "attention"],
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "shared_intermediate_size": 32,
        },
    ),
    "helium": ("helium", _HEAD),
    "hunyuan_v1_dense": ("hunyuan_v1_dense", _HEAD),
    "jamba": ("jamba", {**_PLAIN, "num_hidden_layers": 4, "num_experts": 2}),
    "kimi_linear": (
        "kimi_linear",
        {**_LATENT, "num_local_experts": 4, "linear_head_dim": 16, "linear_num_heads": 4},
    ),
    "lfm2": ("lfm2", {**_PLAIN, "layer_types": ["conv", "full_attention"], "conv_L_cache": 3}),
    "llama": ("llama", _PLAIN),
    "llama3_rope": (
        "llama",
        {
            **_PLAIN,
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 128,
            },
        },
    ),
    "llama4": (
        "llama4_text",
        {
            **_HEAD,
            "intermediate_size_mlp": 96,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "attention_chunk_size": 16,
        },
    ),
    "llama_dynamic_rope": (
        "llama",
        {
            **_PLAIN,
            "max_position_embeddings": 32,
            "rope_parameters": {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 4.0},
        },
    ),
    "mamba": ("mamba", {"hidden_size": 64, "num_hidden_layers": 2, "state_size": 8}),
    "mamba2": (
        "mamba2",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "state_size": 8,
            "num_heads": 8,
            "head_dim": 16,
            "n_groups": 1,
        },
    ),
    "minimax": ("minimax", {**_HEAD, "num_local_experts": 2, "num_experts_per_tok": 1}),
    "ministral": ("ministral", {**_HEAD, **_WINDOW}),
    "mistral": ("mistral", {**_PLAIN, "sliding_window": None}),
    "mistral_window": ("mistral", {**_PLAIN, **_WINDOW}),
    "mixtral": ("mixtral", {**_PLAIN, **_LOCAL, "sliding_window": None}),
    "mpt": ("mpt", {"d_model": 64, "n_heads": 4, "n_layers": 2, "max_seq_len": 512}),
    "nemotron": ("nemotron", _PLAIN),
    "nemotron_h": (
        "nemotron_h",
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "hybrid_override_pattern": "M*",
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "mamba_num_heads": 8,
            "mamba_head_dim": 16,
            "ssm_state_size": 8,
            "n_groups": 1,
        },
    ),
    "olmo": ("olmo", {**_PLAIN, "clip_qkv": 0.5}),
    "olmo2": ("olmo2", _PLAIN),
    "olmo3": ("olmo3", {**_PLAIN, **_WINDOW, "num_hidden_layers": 4}),
    "olmo_hybrid": ("olmo_hybrid", {**_PLAIN, "num_hidden_layers": 4}),
    "olmoe": ("olmoe", {**_PLAIN, "num_experts": 4, "num_experts_per_tok": 2}),
    "opt": (
        "opt",
        {
            "hidden_size": 64,
            "ffn_dim": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 512,
            "word_embed_proj_dim": 64,
        },
    ),
    "persimmon": ("persimmon", _PLAIN),
    "phi": ("phi", _WIDE),
    "phi3": ("phi3", {**_PLAIN, "sliding_window": None}),
    "phimoe": ("phimoe", {**_PLAIN, **_LOCAL, "sliding_window": None}),
    "qwen2": ("qwen2", _PLAIN),
    "qwen2_moe": ("qwen2_moe", {**_PLAIN, **_EXPERTS, "shared_expert_intermediate_size": 32}),
    "qwen3": ("qwen3", _HEAD),
    "qwen3_5": ("qwen3_5_text", {**_HEAD, **_DELTA}),
    "qwen3_moe": ("qwen3_moe", {**_HEAD, **_EXPERTS}),
    "qwen3_next": (
        "qwen3_next",
        {**_HEAD, **_EXPERTS, "shared_expert_intermediate_size": 32, **_DELTA},
    ),
    "recurrent_gemma": (
        "recurrent_gemma",
        {
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "lru_width": 64,
            "attention_window_size": 32,
        },
    ),
    "rwkv": (
        "rwkv",
        {"hidden_size": 64, "attention_hidden_size": 64, "num_hidden_layers": 2},
    ),
    "seed_oss": ("seed_oss", _HEAD),
    "smollm3": ("smollm3", {**_PLAIN, "no_rope_layers": [1, 0]}),
    "stablelm": ("stablelm", _PLAIN),
    "starcoder2": ("starcoder2", {**_PLAIN, "sliding_window": None}),
    "zamba2": (
        "zamba2",
        {
            **_WIDE,
            "mamba_d_state": 8,
            "mamba_ngroups": 1,
            "n_mamba_heads": 8,
            "layers_block_type": ["mamba", "hybrid"],
        },
    ),
    # Of several models: the language model is one part.
    "gemma3_vision": (
        "gemma3",
        {
            "text_config": {**_TEXT, **_WINDOW},
            "vision_config": {**_VISION, "num_hidden_layers": 1, "num_attention_heads": 2},
            "mm_tokens_per_image": 4,
            "image_token_index": 290,
            "boi_token_index": 291,
            "eoi_token_index": 292,
        },
    ),
    "qwen3_5_vision": (
        "qwen3_5",
        {
            "text_config": {**_TEXT, **_DELTA},
            "vision_config": {
                "depth": 1,
                "hidden_size": 32,
                "intermediate_size": 32,
                "num_heads": 2,
                "out_hidden_size": 64,
                "patch_size": 14,
                "num_position_embeddings": 16,
            },
        },
    ),
}
"""Name -> model type of transformers, and its sizes."""


def family_config(name: str) -> Any:
    """Return a family's config, with sizes that suit a test."""
    from transformers import AutoConfig

    kind, sizes = FAMILIES[name]
    given = sizes if "text_config" in sizes else {**sizes, **_SPECIAL}
    return AutoConfig.for_model(kind, **given)


def make_family(name: str, attention: str = "eager", seed: int = 0) -> Any:
    """Return a family's model in float32 and evaluation mode, with weights that matter."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(family_config(name), attn_implementation=attention)
    with torch.no_grad():
        for weight_name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.mul_(3.0 if "embed" in weight_name else 6.0)
    return model.float().eval()
