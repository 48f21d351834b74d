"""The page of the API: actions, faults, and what is never answered.

Rule: actions and faults come from the code; what is never produced is listed here, with the reason.
"""

from __future__ import annotations

import inspect
from typing import Final

from flowglass.control import faults, model
from flowglass.control.keys import reads_only
from flowglass.control.operations import OPERATIONS
from scripts.docs_text import page, table

_NEVER: Final = {
    "Unable to assume given IAM role": "there is no IAM here; the ARN of a role is checked for its form alone",
    "FlowLogs Service Linked Role is not yet available": "there are no service-linked roles",
    "RequestLimitExceeded": "calls are not limited by their rate",
    "UnsupportedOperation, OptInRequired and other codes of accounts": "there are no accounts to opt in",
    "faults of KMS": "keys are named and never used; a bucket's default encryption is checked for its form alone",
}

_HEAD: Final = """The server answers these actions of EC2's query protocol (version {ec2}) and of STS ({sts}),
parameters and answers by AWS's model. Every other action is `InvalidAction`. What AWS says of them:
[Amazon EC2 API Reference](https://docs.aws.amazon.com/AWSEC2/latest/APIReference/)."""


def api() -> str:
    """The page."""
    actions = [
        (f"`{action}`", "reads" if reads_only(action) else "changes", _first_sentence(operation))
        for action, operation in OPERATIONS.items()
    ]
    codes = [(f"`{fault.code}`", fault.status, inspect.cleandoc(fault.__doc__ or "")) for fault in _faults()]
    return page(
        "The API",
        _HEAD.format(**model.VERSIONS),
        "## Actions",
        "Read-only keys may call those that read.",
        table(["action", "kind", "what it does"], actions),
        "## Faults",
        "A fault of one resource among several is told in `Unsuccessful`, with status 200.",
        table(["code", "HTTP status", "when"], codes),
        "## Never answered",
        table(["what AWS answers", "why not here"], _NEVER.items()),
    )


def _first_sentence(operation: object) -> str:
    text = inspect.cleandoc(operation.__doc__ or "").split("\n\n")[0]
    return " ".join(text.split())


def _faults() -> list[type[faults.ApiFault]]:
    """Every fault, in the order of definition."""
    named = vars(faults).values()
    return [
        one
        for one in named
        if isinstance(one, type) and issubclass(one, faults.ApiFault) and one.__bases__ != (Exception,)
    ]
