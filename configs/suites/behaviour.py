"""The suites of behaviour: how a model follows, refuses, abstains, holds on and calls."""

from configs.suites.abstention import AbstentionSuite
from configs.suites.adherence import AdherenceSuite
from configs.suites.brittleness import BrittlenessSuite
from configs.suites.dialogues import DialoguesSuite
from configs.suites.ifeval import IfevalSuite
from configs.suites.refusal import RefusalSuite
from configs.suites.tool_calls import ToolCallsSuite

Behaviour = (
    IfevalSuite
    | RefusalSuite
    | AbstentionSuite
    | BrittlenessSuite
    | DialoguesSuite
    | ToolCallsSuite
    | AdherenceSuite
)
