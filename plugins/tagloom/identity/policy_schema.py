"""The JSON schema of the identity policy, for editors: completion, explanations and red lines while one types."""

from __future__ import annotations

from tagloom.identity.policy import Policy
from tagloom.source_tools.schema import schema_text

SCHEMA_FILE = "policy.schema.json"
"""Name of the schema; it lies beside the policy."""


def policy_schema() -> str:
    """The schema as text: every key with the explanation that stands beside it in policy.py."""
    return schema_text(Policy, "plugins/tagloom/identity/policy.py")
