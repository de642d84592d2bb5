"""SageMaker endpoints behind the seam: containers that take and give OpenAI chat messages."""

import json

from configs.served import SageMakerEndpoint
from tasks.inference.aws_client import AmazonModel, failures
from tasks.inference.openai_format import asked_fields, drawn_fields, read_reply
from tasks.inference.remote import Reply
from tasks.models.api import Decoding, Prompt


class InvokedModel(AmazonModel[SageMakerEndpoint]):
    """A model behind ``InvokeEndpoint``."""

    SERVICE = "sagemaker-runtime"

    def ask(self, prompt: Prompt, decoding: Decoding) -> Reply:
        """Return the container's answer to one prompt."""
        fields = {**asked_fields(prompt), **drawn_fields(decoding), **self._spec.options}
        at = {"EndpointName": self._spec.endpoint}
        if self._spec.component:
            at["InferenceComponentName"] = self._spec.component
        with failures(self._spec.endpoint):
            reply = self._client.invoke_endpoint(
                **at,
                ContentType="application/json",
                Accept="application/json",
                Body=json.dumps(fields),
            )
            body = reply["Body"].read()
        return read_reply(body, decoding.stop)
