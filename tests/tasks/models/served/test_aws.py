import io
import json
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from configs.models import BedrockModel, SageMakerEndpoint
from tasks.errors import SetupError
from tasks.models.api import Decoding, Prompt
from tasks.models.served.aws import InvokedModel
from tasks.models.served.bedrock import ConverseModel, turns

ASKED: list[Any] = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "what time?"},
]
TOOLS = '[{"name": "clock", "description": "d", "parameters": {"type": "object"}}]'
REQUEST: dict[str, Any] = {
    "modelId": "amazon.nova-micro-v1:0",
    "system": [{"text": "be brief"}],
    "messages": [{"role": "user", "content": [{"text": "what time?"}]}],
    "inferenceConfig": {"maxTokens": 9, "temperature": 0.0},
    "toolConfig": {
        "tools": [
            {
                "toolSpec": {
                    "name": "clock",
                    "description": "d",
                    "inputSchema": {"json": {"type": "object"}},
                }
            }
        ]
    },
}


def answer(content: list[Any], reason: str = "end_turn") -> dict[str, Any]:
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason,
        "usage": {"inputTokens": 11, "outputTokens": 2, "totalTokens": 13},
        "metrics": {"latencyMs": 5},
    }


def client(service: str) -> Any:
    return boto3.client(
        service, region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="y"
    )


@pytest.fixture
def bedrock() -> tuple[ConverseModel, Stubber]:
    made = client("bedrock-runtime")
    spec = BedrockModel(kind="bedrock", name="amazon.nova-micro-v1:0", concurrency=1, attempts=3)
    return ConverseModel(spec, wait=lambda _: None, made=made), Stubber(made)


def test_converse_is_asked_by_its_contract_and_tried_again(
    bedrock: tuple[ConverseModel, Stubber],
) -> None:
    model, stub = bedrock
    stub.add_client_error("converse", "ThrottlingException", http_status_code=429)
    stub.add_response("converse", answer([{"text": "noon"}], "max_tokens"), REQUEST)
    with stub:
        (found,) = model.answers([Prompt(ASKED, TOOLS)], Decoding(9, stop=("\n",)))
    stub.assert_no_pending_responses()
    assert (found.text, found.truncated, found.prompt_tokens) == ("noon", True, 11)


def test_a_tool_call_is_written_as_a_block(bedrock: tuple[ConverseModel, Stubber]) -> None:
    model, stub = bedrock
    use = {"toolUse": {"toolUseId": "c1", "name": "clock", "input": {"zone": "UTC"}}}
    stub.add_response("converse", answer([{"text": "let me see"}, use], "tool_use"))
    with stub:
        (found,) = model.answers([Prompt(ASKED, TOOLS)], Decoding(9))
    said, block = found.text.split("\n<tool_call>\n")
    assert said == "let me see"
    assert json.loads(block.removesuffix("\n</tool_call>")) == {
        "name": "clock",
        "arguments": {"zone": "UTC"},
    }


def test_what_the_service_refuses_is_of_the_item_or_of_all(
    bedrock: tuple[ConverseModel, Stubber],
) -> None:
    model, stub = bedrock
    stub.add_response("converse", answer([{"text": "noon"}]))
    stub.add_client_error("converse", "ValidationException", "too long", http_status_code=400)
    asked = [Prompt(ASKED), Prompt([{"role": "user", "content": "again"}])]
    with stub:
        found = model.answers(asked, Decoding(9))
    assert sorted(a.error is None for a in found) == [False, True]
    assert any("too long" in str(a.error) for a in found)
    stub = Stubber(model._client)
    stub.add_client_error("converse", "AccessDeniedException", http_status_code=403)
    with stub, pytest.raises(SetupError, match="permissions"):
        model.answers(asked, Decoding(9))


def test_turns_of_one_side_are_joined_and_tool_results_are_the_users() -> None:
    messages: list[Any] = [
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": '[{"id": "c1", "name": "clock", "arguments": {}}]',
        },
        {"role": "tool", "content": "noon", "tool_call_id": "c1"},
        {"role": "user", "content": "and now?"},
    ]
    made = turns(messages)
    assert [t["role"] for t in made] == ["user", "assistant", "user"]
    assert made[1]["content"] == [{"toolUse": {"toolUseId": "c1", "name": "clock", "input": {}}}]
    assert [next(iter(block)) for block in made[2]["content"]] == ["toolResult", "text"]


def test_a_text_without_turns_can_not_be_put_to_converse(
    bedrock: tuple[ConverseModel, Stubber],
) -> None:
    model, stub = bedrock
    stub.add_response("converse", answer([{"text": "noon"}]))
    text = Prompt([{"role": "text", "content": "once"}])
    with stub:
        found = model.answers([Prompt(ASKED), text], Decoding(9))
    assert "no text to be continued" in str(found[1].error)


def test_a_sagemaker_endpoint_takes_and_gives_chat_messages() -> None:
    made = client("sagemaker-runtime")
    spec = SageMakerEndpoint(
        kind="sagemaker", endpoint="voc", component="adapter-1", concurrency=1, options={"top_k": 5}
    )
    fields = {"messages": ASKED, "max_tokens": 9, "temperature": 0.0, "top_k": 5}
    body = json.dumps({"choices": [{"message": {"content": "noon"}, "finish_reason": "length"}]})
    reply = {
        "Body": StreamingBody(io.BytesIO(body.encode()), len(body)),
        "ContentType": "application/json",
    }
    stub = Stubber(made)
    stub.add_client_error("invoke_endpoint", "ModelError", http_status_code=424)
    stub.add_response(
        "invoke_endpoint",
        reply,
        {
            "EndpointName": "voc",
            "InferenceComponentName": "adapter-1",
            "ContentType": "application/json",
            "Accept": "application/json",
            "Body": json.dumps(fields),
        },
    )
    model = InvokedModel(spec, wait=lambda _: None, made=made)
    with stub:
        (found,) = model.answers([Prompt(ASKED)], Decoding(9))
    stub.assert_no_pending_responses()
    assert (found.text, found.truncated) == ("noon", True)
    assert not model.log_probs


def test_missing_credentials_end_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/no/such/file")
    spec = BedrockModel(kind="bedrock", name="m", region="eu-west-1", concurrency=1)
    with pytest.raises(SetupError, match="credentials"):
        ConverseModel(spec, wait=lambda _: None).answers([Prompt(ASKED)], Decoding(9))
