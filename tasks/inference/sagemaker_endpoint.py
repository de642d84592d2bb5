"""SageMaker endpoints behind the seam: containers that take and give OpenAI chat messages."""

import json
from typing import Any

from configs.served import SageMakerEndpoint
from tasks.inference.aws_client import client, failures
from tasks.inference.openai_format import asked_fields, drawn_fields, read_reply
from tasks.inference.remote import RemoteModel, Reply, Wait
from tasks.inference.seam import Decoding, Prompt


class InvokedModel(RemoteModel):
    """A model behind ``InvokeEndpoint``.

    Args:
        spec: The section.
        wait: Called with the seconds to wait before another try.
        made: A client of ``sagemaker-runtime``, instead of one made from the section.
    """

    def __init__(self, spec: SageMakerEndpoint, wait: Wait | None = None, made: Any = None) -> None:
        super().__init__(spec, wait)
        self._endpoint = spec
        self._client = made or client("sagemaker-runtime", spec)

    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the container's answer to one prompt."""
        fields = {**asked_fields(prompt), **drawn_fields(decoding), **self._endpoint.options}
        at = {"EndpointName": self._endpoint.endpoint}
        if self._endpoint.component:
            at["InferenceComponentName"] = self._endpoint.component
        with failures(self._endpoint.endpoint):
            reply = self._client.invoke_endpoint(
                **at, ContentType="application/json", Accept="application/json",
                Body=json.dumps(fields),
            )  # fmt: skip
            body = reply["Body"].read()
        return read_reply(body, decoding.stop)
