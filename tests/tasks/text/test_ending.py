import pytest
from fakes.chat_families import FAMILIES, make_tokenizer

from configs.chat import ChatSettings
from tasks.errors import DataError
from tasks.text.ending import end_of_turn
from tasks.text.template import set_chat_settings

ENDS = {
    "alpaca": (("</s>",), "added"),
    "command_r": (("<|END_OF_TURN_TOKEN|>",), "template"),
    "gemma4": (("<turn|>", "<tool_call|>"), "template"),
    "glm4": (("<|user|>", "<|observation|>"), "next role"),
    "gpt_oss": (("<|return|>", "<|call|>"), "template"),
    "granite": (("<|end_of_text|>",), "template"),
    "phi3": (("<|end|>",), "template"),
    "olmo2": (("<|endoftext|>",), "template"),
} | {
    name: ((end,), "template")
    for end, names in {
        "</s>": ("llama2", "mistral_nemo", "mistral_v1", "mistral_v3", "vicuna", "zephyr"),
        "<end_of_turn>": ("gemma1", "gemma2", "gemma3"),
        "<|eot_id|>": ("llama3_1", "llama3_2"),
        "<|im_end|>": ("hermes", "phi4", "qwen2_5", "qwen3", "qwen3_5", "smollm2", "smollm3"),
        "<｜end▁of▁sentence｜>": ("deepseek_r1_distill", "deepseek_v2", "deepseek_v3"),
    }.items()
    for name in names
}


@pytest.mark.parametrize("name", FAMILIES)
def test_what_ends_an_answer_is_what_the_template_writes_after_it(name):
    tokenizer = make_tokenizer(name)
    end = end_of_turn(tokenizer)
    assert (end.texts, end.how) == ENDS[name]
    assert end.ids == tuple(tokenizer.convert_tokens_to_ids(text) for text in end.texts)


def test_the_end_is_the_template_s_and_not_the_tokenizer_s_end_of_sequence():
    tokenizer = make_tokenizer("qwen2_5")
    tokenizer.eos_token = "<|endoftext|>"
    assert end_of_turn(tokenizer).texts == ("<|im_end|>",)


def test_an_end_that_the_recipe_names_is_taken():
    tokenizer = make_tokenizer("smollm2")
    set_chat_settings(tokenizer, ChatSettings(end_of_turn="<|endoftext|>"))
    end = end_of_turn(tokenizer)
    assert (end.texts, end.how) == (("<|endoftext|>",), "recipe")


def test_an_end_that_is_no_token_is_refused():
    tokenizer = make_tokenizer("smollm2")
    set_chat_settings(tokenizer, ChatSettings(end_of_turn="over and out"))
    with pytest.raises(DataError, match="one token ends an answer"):
        end_of_turn(tokenizer)


def test_a_model_whose_answers_nothing_could_end_is_refused():
    tokenizer = make_tokenizer("alpaca")
    tokenizer.eos_token = None
    with pytest.raises(DataError, match="no answer would ever end"):
        end_of_turn(tokenizer)
