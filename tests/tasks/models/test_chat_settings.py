import datetime
import shutil

import pytest

from configs.chat import ChatSettings
from configs.models import Model
from tasks.models.identity import tokenizer_digest
from tasks.models.prepare import prepare_model
from tasks.text.chat import load_tokenizer, prompt_ids, render

DATED = (
    "{{ 'Today: ' + strftime_now('%d %b %Y') }}{% for m in messages %}<|{{ m.role }}|>"
    "{{ m.content }}<eos>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "It is 3."}]
FIRST, SECOND = datetime.date(2026, 11, 28), datetime.date(2026, 11, 29)


@pytest.fixture
def dated(tiny_model_folder, tmp_path):
    """The tiny model with a template that writes today's date."""
    folder = shutil.copytree(tiny_model_folder, tmp_path / "dated")
    (folder / "chat_template.jinja").write_text(DATED)
    return folder


@pytest.fixture
def let_it_be(monkeypatch):
    """Makes it another day."""

    def set_day(day):
        class Day(datetime.date):
            @classmethod
            def today(cls):
                return day

        monkeypatch.setattr("tasks.models.prepare.datetime.date", Day)

    return set_day


def test_the_day_is_that_of_the_first_use_here_whenever_it_is_asked_again(
    dated, temper_home, let_it_be
):
    let_it_be(FIRST)
    before = prepare_model(Model(path=str(dated)))
    let_it_be(SECOND)
    after = prepare_model(Model(path=str(dated)))
    assert before.chat.template_date == FIRST
    assert after == before


def test_another_home_on_another_day_has_the_same_tokens_where_the_recipe_names_the_day(
    dated, temper_home, monkeypatch, tmp_path, let_it_be
):
    let_it_be(FIRST)
    before = prepare_model(Model(path=str(dated)))
    monkeypatch.setenv("TEMPER_HOME", str(tmp_path / "elsewhere"))
    let_it_be(SECOND)
    other = prepare_model(Model(path=str(dated)))
    same = prepare_model(Model(path=str(dated), template_date=FIRST))
    rows = [render(load_tokenizer(m.path, m.chat), TALK) for m in (before, other, same)]
    assert rows[0] != rows[1]
    assert rows[0] == rows[2]
    assert before.tokenizer_digest == same.tokenizer_digest != other.tokenizer_digest


def test_the_template_writes_the_day_as_it_asks_for_it(dated):
    tokenizer = load_tokenizer(dated, ChatSettings(template_date=datetime.date(2026, 3, 5)))
    assert tokenizer.decode(prompt_ids(tokenizer, TALK[:1])).startswith("Today: 05 Mar 2026")


def test_a_template_that_writes_no_date_has_none_and_its_digest_is_of_its_files(
    tiny_model_folder, temper_home
):
    found = prepare_model(Model(path=str(tiny_model_folder), template_date=FIRST))
    assert found.chat == ChatSettings()
    assert found.tokenizer_digest == tokenizer_digest(tiny_model_folder)


def test_arguments_of_the_template_are_part_of_the_tokenizer_s_digest(
    tiny_model_folder, temper_home
):
    plain = prepare_model(Model(path=str(tiny_model_folder)))
    given = prepare_model(Model(path=str(tiny_model_folder), template={"enable_thinking": False}))
    assert given.tokenizer_digest != plain.tokenizer_digest
    assert given.digest == plain.digest


def test_what_each_row_says_is_no_argument():
    with pytest.raises(ValueError, match="'tools' comes from each row"):
        Model(path="x", template={"tools": []})
