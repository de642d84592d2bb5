from typing import Any

import pytest
from pydantic import TypeAdapter

from configs.sources import Source, StoredSource
from tasks.errors import SourceError, Unusable
from tasks.ingest.convert import ConvertedRow, find_converter
from tasks.ingest.detect import choose_format

U, A, S = "user", "assistant", "system"


def _source(**fields: Any) -> StoredSource:
    base = {"name": "x", "role": "general", "kind": "files", "path": "x.jsonl"}
    return TypeAdapter(Source).validate_python(base | fields)


def _convert(row: dict[str, Any], **fields: Any) -> ConvertedRow:
    return find_converter(_source(**fields), [row], "x.jsonl")(row)


def _turns(fields: ConvertedRow) -> list[tuple[str, str]]:
    return [(m["role"], m["content"]) for m in fields.messages]


def _openai(*contents: Any, **more: Any) -> dict[str, Any]:
    roles = [U, A] * len(contents)
    pairs = zip(roles, contents, strict=False)
    return {"messages": [{"role": r, "content": c} for r, c in pairs], **more}


FORMATS = [
    ("messages", _openai("hi", "yo")),
    (
        "messages",
        {
            "messages": [
                {"role": U, "content": [{"type": "text", "text": "hi"}]},
                {"role": A, "content": "yo"},
            ]
        },
    ),
    (
        "converse",
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": U, "content": [{"text": "hi"}]},
                {"role": A, "content": [{"text": "yo"}]},
            ],
        },
    ),
    (
        "converse",
        {
            "messages": [
                {"role": U, "content": [{"text": "hi", "image": None}]},
                {"role": A, "content": [{"text": "yo", "image": None}]},
            ]
        },
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yo"}]},
    ),
    ("alpaca", {"instruction": "hi", "input": "", "output": "yo"}),
    ("completion", {"prompt": "hi", "completion": "yo"}),
    ("completion", {"prompt": "hi", "response": "yo"}),
    ("completion", {"instruction": "hi", "response": "yo"}),
    ("completion", {"question": "hi", "answer": "yo"}),
]


@pytest.mark.parametrize(("name", "row"), FORMATS)
@pytest.mark.parametrize("given", ["auto", "named"])
def test_every_format_gives_the_same_two_turns(name: str, row: dict[str, Any], given: str) -> None:
    fields = _convert(row, format="auto" if given == "auto" else name)
    assert _turns(fields) == [(U, "hi"), (A, "yo")]
    assert fields.label is None


def test_plain_text_is_one_message_of_its_own_role() -> None:
    assert _turns(_convert({"text": "once"})) == [("text", "once")]


def test_an_input_or_context_follows_the_instruction() -> None:
    alpaca = _convert({"instruction": "Sum up.", "input": "Long.", "output": "Short."})
    dolly = _convert({"instruction": "Sum up.", "context": "Long.", "response": "Short."})
    assert _turns(alpaca) == _turns(dolly) == [(U, "Sum up.\n\nLong."), (A, "Short.")]


def test_system_texts_come_first() -> None:
    converse = {
        "schemaVersion": "bedrock-conversation-2024",
        "system": [{"text": "Be kind."}],
        "messages": [
            {"role": U, "content": [{"text": "hi"}]},
            {"role": A, "content": [{"text": "a"}, {"text": "b"}]},
        ],
    }
    assert _turns(_convert(converse)) == [(S, "Be kind."), (U, "hi"), (A, "a\nb")]
    developer = {
        "messages": [{"role": "developer", "content": "Be kind."}, {"role": U, "content": "hi"}]
    }
    assert _turns(_convert(developer))[0] == (S, "Be kind.")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_openai("hi", [{"type": "image_url", "image_url": {"url": "x"}}]), "image_url"),
        (_openai("hi", "yo", tools=[{"type": "function"}]), "tools"),
        ({"messages": [{"role": "ipython", "content": "x"}]}, "role 'ipython'"),
        ({"messages": [{"role": A, "content": None, "tool_calls": [{}]}]}, "tool call has no name"),
        ({"messages": [{"role": A, "content": "x", "weight": 0}]}, "'weight' is 0"),
        ({"messages": []}, "'messages' is empty"),
        ({"messages": ["x"]}, "not an object"),
        ({"schemaVersion": "other", "messages": [{}]}, "schemaVersion"),
        (
            {
                "schemaVersion": "bedrock-conversation-2024",
                "messages": [{"role": U, "content": [{"document": {"name": "x"}}]}],
            },
            "'document'",
        ),
        (
            {
                "schemaVersion": "bedrock-conversation-2024",
                "messages": [{"role": A, "content": [{"toolResult": {}}, {"text": "x"}]}],
            },
            "'toolResult'",
        ),
        ({"conversations": [{"from": "ipython", "value": "x"}]}, "role 'ipython'"),
        ({"conversations": [{"from": "human"}]}, "no 'value'"),
        ({"instruction": "x", "output": ["y"]}, "'output' is a list"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_by_name(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        _convert(row)


def test_mapped_columns_fill_templates_and_follow_paths() -> None:
    row = {
        "review": "Broke.",
        "stars": 1,
        "tags": [{"name": "quality"}],
        "who": "c7",
        "role": "Be brief.",
    }
    fields = _convert(
        row,
        columns={
            "prompt": "Classify ({stars} stars): {review}",
            "completion": "tags.0.name",
            "system": "role",
            "label": "tags.0.name",
            "group": "who",
        },
    )
    assert _turns(fields) == [(S, "Be brief."), (U, "Classify (1 stars): Broke."), (A, "quality")]
    assert (fields.label, fields.group) == ("quality", "c7")


def test_a_mapped_text_is_plain_text() -> None:
    assert _turns(_convert({"body": "once"}, columns={"text": "body"})) == [("text", "once")]


def test_a_label_that_a_row_lacks_is_none_and_a_prompt_that_it_lacks_refuses_it() -> None:
    source = _source(columns={"prompt": "q", "completion": "a", "label": "l"})
    convert = find_converter(source, [{"q": "x", "a": "y", "l": "z"}], "x.jsonl")
    assert convert({"q": "x", "a": "y"}).label is None
    assert convert({"q": "x", "a": "y", "l": " "}).label is None
    with pytest.raises(Unusable, match="has no 'q'"):
        convert({"a": "y"})


def test_a_wrong_column_is_an_error_that_lists_columns_and_the_nearest() -> None:
    with pytest.raises(SourceError) as error:
        _convert(
            {"review": "x", "category": "y"},
            columns={"prompt": "Classify: {reviev}", "completion": "category"},
        )
    assert "columns.prompt names 'reviev'" in error.value.message
    assert "'review', 'category'" in error.value.message
    assert error.value.fix == "did you mean 'review'?"


def test_a_format_whose_columns_are_not_there_is_an_error() -> None:
    with pytest.raises(SourceError, match="format 'sharegpt' needs 'conversations'"):
        _convert({"prompt": "x", "completion": "y"}, format="sharegpt")
    with pytest.raises(SourceError, match="prompt \\+ completion"):
        _convert({"review": "x"}, format="completion")


def test_columns_that_no_format_has_are_an_error_with_an_example_mapping() -> None:
    with pytest.raises(SourceError, match="'review', 'category'.*columns: {prompt"):
        _convert({"review": "x", "category": "y"})


@pytest.mark.parametrize(
    "row", [{"text": "x", "label": "y"}, {"question": "x", "choices": ["a"], "answer": 0}]
)
def test_columns_with_two_readings_are_not_guessed_at(row: dict[str, Any]) -> None:
    with pytest.raises(SourceError, match="read in two ways"):
        _convert(row)


def test_the_format_is_what_most_rows_have_and_not_the_first() -> None:
    rows = [{"text": "odd"}, *([_openai("hi", "yo")] * 3)]
    choice = choose_format(_source(), rows, "x.jsonl")
    assert (choice.format, choice.rows, choice.found) == ("messages", 4, {"messages": 3, "text": 1})
    assert choice.sentence() == (
        "Row format: messages, which 3 of the first 4 rows have. Others look like: 1 text."
    )


def test_a_format_that_the_recipe_names_is_taken_as_it_is() -> None:
    choice = choose_format(_source(format="text"), [_openai("hi", "yo")], "x.jsonl")
    assert choice.sentence() == "Row format: text, as the recipe says."


def test_a_table_that_holds_two_formats_is_read_by_the_fields_that_are_not_null() -> None:
    one = {**_openai("hi", "yo"), "instruction": None, "output": None}
    two = {"messages": None, "instruction": "hi", "output": "yo"}
    assert choose_format(_source(), [two, two, one], "x").found == {"alpaca": 2, "messages": 1}


def test_fields_that_are_not_used_are_named() -> None:
    row = _openai("hi", "yo", id=7, note=None)
    row["messages"][1]["score"] = 1
    assert _convert(row).extra == ("id", "messages.score")
    assert _convert({"prompt": "hi", "completion": "yo", "stars": 3}).extra == ("stars",)
    assert (
        _convert({"a": "hi", "b": "yo", "c": 1}, columns={"prompt": "a", "completion": "b"}).extra
        == ()
    )


@pytest.mark.parametrize("columns", [1_000, 3])
def test_a_message_about_columns_stays_readable(columns: int) -> None:
    row = {f"{i}" + "x" * 5_000: "y" for i in range(columns)}
    with pytest.raises(SourceError) as error:
        _convert(row)
    assert len(error.value.message) < 2_000
