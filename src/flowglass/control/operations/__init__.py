"""The actions of the API, one function each.

Rule: an action is answered if it stands in this dict, and only then; its function says what it answers and refuses.
"""

from __future__ import annotations

from typing import Final

from flowglass.control.call import Operation
from flowglass.control.operations import account, create, delete, describe, integration, network, tags

OPERATIONS: Final[dict[str, Operation]] = {
    "CreateFlowLogs": create.create_flow_logs,
    "DescribeFlowLogs": describe.describe_flow_logs,
    "DeleteFlowLogs": delete.delete_flow_logs,
    "GetFlowLogsIntegrationTemplate": integration.get_flow_logs_integration_template,
    "CreateTags": tags.create_tags,
    "DeleteTags": tags.delete_tags,
    "DescribeTags": tags.describe_tags,
    "DescribeVpcs": network.describe_vpcs,
    "DescribeVpcAttribute": network.describe_vpc_attribute,
    "DescribeSubnets": network.describe_subnets,
    "DescribeNetworkInterfaces": network.describe_network_interfaces,
    "DescribeInstances": network.describe_instances,
    "DescribeRouteTables": network.describe_route_tables,
    "DescribeSecurityGroups": network.describe_security_groups,
    "DescribeNetworkAcls": network.describe_network_acls,
    "DescribeAvailabilityZones": account.describe_availability_zones,
    "DescribeRegions": account.describe_regions,
    "DescribeAccountAttributes": account.describe_account_attributes,
    "GetCallerIdentity": account.get_caller_identity,
}
"""By the action's name. Those that begin with Describe or Get change nothing."""

__all__ = ["OPERATIONS"]
