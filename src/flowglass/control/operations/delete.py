"""DeleteFlowLogs: what is there is deleted in one transaction, what is not is told of.

Rule: unknown ids, malformed ones too, are Unsuccessful items and keep no other flow log from being deleted. What was
delivered stays where it is, and so do the bucket's policy and the log group.
Source: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteFlowLogs.html
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection

from flowglass.control.call import Call, Services
from flowglass.control.operations.refusal import end_dry_run, no_flow_logs, too_many
from flowglass.control.store import flow_logs

MAX_IDS: Final = 1000


def delete_flow_logs(call: Call, services: Services) -> dict[str, Any]:
    """Delete flow logs. Answers `Unsuccessful`, empty where all were there. Raises InvalidParameterValue, a dry run."""
    ids = list(dict.fromkeys(call.parameters["FlowLogIds"]))
    if len(ids) > MAX_IDS:
        raise too_many("FlowLogIds", len(ids), MAX_IDS)
    end_dry_run(call)

    def work(connection: Connection) -> set[str]:
        rows = flow_logs.find(connection, account=call.account, region=call.region, ids=ids)
        there = [row.id for row in rows]
        flow_logs.delete(connection, there)
        return set(there)

    deleted = services.store.write(work)
    faults = {one: no_flow_logs([one]) for one in ids if one not in deleted}
    return {
        "Unsuccessful": [
            {"ResourceId": one, "Error": {"Code": fault.code, "Message": fault.message}}
            for one, fault in faults.items()
        ]
    }
