"""AWS's own descriptions of the actions that this server answers, as botocore brings them.

Rule: no action, name or type of the API is spelled anywhere else but here and in AWS's model; what is not in `ANSWERED`
does not exist. Only the models of the package are read, never those of the user's `~/.aws/models`.
"""

from __future__ import annotations

import functools
from typing import Final

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

ANSWERED: Final[dict[str, frozenset[str]]] = {
    "ec2": frozenset(
        {
            "CreateFlowLogs",
            "CreateTags",
            "DeleteFlowLogs",
            "DeleteTags",
            "DescribeAccountAttributes",
            "DescribeAvailabilityZones",
            "DescribeFlowLogs",
            "DescribeInstances",
            "DescribeNetworkAcls",
            "DescribeNetworkInterfaces",
            "DescribeRegions",
            "DescribeRouteTables",
            "DescribeSecurityGroups",
            "DescribeSubnets",
            "DescribeTags",
            "DescribeVpcAttribute",
            "DescribeVpcs",
            "GetFlowLogsIntegrationTemplate",
        }
    ),
    "sts": frozenset({"GetCallerIdentity"}),
}
"""The actions by service; a service's name is that of the credential scope. No action is in two services."""

VERSIONS: Final[dict[str, str]] = {"ec2": "2016-11-15", "sts": "2011-06-15"}
"""The version of each service's API: the only one that is answered."""

_SERVICE_OF: Final = {action: service for service, actions in ANSWERED.items() for action in actions}


def service_of(action: str) -> str | None:
    """The service that an action belongs to; None for an action that is not answered."""
    return _SERVICE_OF.get(action)


def operation(action: str, *, service: str | None = None) -> OperationModel | None:
    """The model of an action, the same object at every call; None for one that is not answered (by `service`)."""
    home = _SERVICE_OF.get(action)
    if home is None or service not in (None, home):
        return None
    return _operation(action)  # asked for last, so that its cache holds no names from outside


def namespace(service: str) -> str:
    """The XML namespace of a service's answers, with the slash at its end that AWS sends and the model leaves out."""
    return f"{_service(service).metadata['xmlNamespace'].rstrip('/')}/"


@functools.cache
def _operation(action: str) -> OperationModel:
    return _service(_SERVICE_OF[action]).operation_model(action)


@functools.cache
def _service(service: str) -> ServiceModel:
    loader = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    return ServiceModel(loader.load_service_model(service, "service-2", VERSIONS[service]), service)
