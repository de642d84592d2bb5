"""Amazon Bedrock behind the seam, by its Converse API."""

import json
from collections.abc import Sequence
from typing import Any

from configs.models import BedrockModel
from tasks.models.api import Decoding, Prompt
from tasks.models.served.aws import AmazonModel, failures
from tasks.models.served.base import Reply, TryAgain, Unanswerable, is_cut
from tasks.models.served.openai import is_text
from tasks.text.reasoning import find_stop
from tasks.text.rows import TOOL_ROLE, Message

Fields = dict[str, Any]


class ConverseModel(AmazonModel[BedrockModel]):
    """A model of Bedrock."""

    SERVICE = "bedrock-runtime"

    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the model's answer to one prompt."""
        if is_text(prompt):
            raise Unanswerable("Converse takes conversations, no text to be continued")
        with failures(self._spec.name):
            reply = self._client.converse(**self._request(prompt, decoding))
        return _reply(reply, decoding.stop)

    def _request(self, prompt: Prompt, decoding: Decoding) -> Fields:
        system = [{"text": m["content"]} for m in prompt.messages if m["role"] == "system"]
        more: Fields = {"system": system} if system else {}
        if prompt.tools:
            more["toolConfig"] = {"tools": [_tool(t) for t in json.loads(prompt.tools)]}
        if self._spec.options:
            more["additionalModelRequestFields"] = self._spec.options
        return {
            "modelId": self._spec.name,
            "messages": turns(prompt.messages),
            "inferenceConfig": _drawn(decoding),
            **more,
        }


def turns(messages: Sequence[Message]) -> list[Fields]:
    """Return the turns as Converse takes them: what tools gave back is the user's to say.

    Messages of one side that follow each other become one, since turns must alternate.
    """
    made: list[Fields] = []
    for message in messages:
        if message["role"] == "system":
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        content = _content(message)
        if made and made[-1]["role"] == role:
            made[-1]["content"] += content
        else:
            made.append({"role": role, "content": content})
    return made


def _content(message: Message) -> list[Fields]:
    if message["role"] == TOOL_ROLE:
        given = [{"text": message["content"]}]
        return [{"toolResult": {"toolUseId": message.get("tool_call_id"), "content": given}}]
    calls = json.loads(message.get("tool_calls") or "[]")
    used = [
        {"toolUse": {"toolUseId": c["id"], "name": c["name"], "input": c["arguments"]}}
        for c in calls
    ]
    # An empty text block is refused.
    return [*([{"text": message["content"]}] if message["content"].strip() else []), *used]


def _tool(tool: Fields) -> Fields:
    spec = {"name": tool["name"], "inputSchema": {"json": tool.get("parameters") or {}}}
    if tool.get("description"):
        spec["description"] = tool["description"]
    return {"toolSpec": spec}


def _drawn(decoding: Decoding) -> Fields:
    """Return how the answer is drawn; a turn ends by itself, and is cut at stop strings here."""
    fields: Fields = {"maxTokens": decoding.max_new_tokens, "temperature": decoding.temperature}
    if decoding.temperature > 0:
        fields["topP"] = decoding.top_p
    return fields


def _reply(reply: Fields, stop: Sequence[str]) -> Reply:
    """Return the answer; tool calls are written as blocks, as of OpenAI-compatible servers."""
    cut = is_cut(reply.get("stopReason"))
    try:
        parts = [_said(block) for block in reply["output"]["message"]["content"]]
        tokens = int(reply.get("usage", {}).get("inputTokens", 0))
        text = "\n".join(part for part in parts if part)
        return Reply(text[: find_stop(text, stop)], cut, tokens)
    except (LookupError, TypeError) as error:
        raise TryAgain(f"the reply has no message: {str(reply)[:80]}") from error


def _said(block: Fields) -> str:
    if "toolUse" in block:
        call = {"name": block["toolUse"]["name"], "arguments": block["toolUse"]["input"]}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"
    return str(block.get("text", ""))
