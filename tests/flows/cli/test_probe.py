import json

import pytest

from flows.cli.probe import probe
from tasks.errors import SetupError

pytest.importorskip("torch")


def test_a_row_is_shown_with_what_is_learnt_in_brackets(tiny_model_folder, temper_home, capsys):
    answer = probe(str(tiny_model_folder))
    assert answer.exit_code == 0
    answer.show()
    shown = capsys.readouterr().out
    assert "[[Y·es·.·<eos>]]" in shown.replace("Yes", "Y·es")
    assert "end of answers" in shown


def test_tokens_say_whether_they_carry_loss(tiny_model_folder, temper_home):
    [tokens] = probe(str(tiny_model_folder)).json["row"]["tokens"]
    learnt = "".join(token["text"] for token in tokens if token["loss"])
    assert learnt == "Yes.<eos>"


def test_a_row_of_a_file_that_can_t_be_trained_on_is_refused_by_name(
    tiny_model_folder, temper_home, tmp_path
):
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "3", "reasoning_content": "Add them"},
    ]
    file = tmp_path / "row.jsonl"
    file.write_text(json.dumps({"messages": turns}))
    answer = probe(str(tiny_model_folder), row=file)
    assert answer.exit_code == 2
    assert "reasoning" in answer.json["row"]["refused"]


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows_is_refused(
    tiny_model_folder, temper_home, tmp_path
):
    import shutil

    from transformers import AutoTokenizer

    folder = shutil.copytree(tiny_model_folder, tmp_path / "more")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["[ORDER_ID]", "[REFUND]"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(SetupError, match=r"has 514 ids and the model's embedding 512 rows"):
        probe(str(folder))
