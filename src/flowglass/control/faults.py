"""What the API answers to a request that it refuses: AWS's codes, and the HTTP status of each.

Rule: one class a code, which says when it is answered; the message is the caller's to read: what, where, what to do.
Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
"""

from __future__ import annotations

from typing import ClassVar


class ApiFault(Exception):
    """A request that is refused. `code`: AWS's; `status`: HTTP's."""

    code: ClassVar[str] = "InternalError"
    status: ClassVar[int] = 400

    @property
    def message(self) -> str:
        """The text for the caller."""
        return str(self)


# Who asks ----------------------------------------------------------------------------------------------------


class MissingAuthenticationToken(ApiFault):
    """The request has no signature."""

    code = "MissingAuthenticationToken"
    status = 403


class IncompleteSignature(ApiFault):
    """The signature's parts are missing or malformed."""

    code = "IncompleteSignature"


class AuthFailure(ApiFault):
    """The access key is unknown or disabled."""

    code = "AuthFailure"
    status = 401


class SignatureDoesNotMatch(ApiFault):
    """The request was signed with another secret, or changed on its way."""

    code = "SignatureDoesNotMatch"
    status = 403


class RequestExpired(ApiFault):
    """The request's time lies too far from the server's, or its presigned time is over."""

    code = "RequestExpired"


class UnauthorizedOperation(ApiFault):
    """The key may not do this: it is read-only, of another account, or of an agent."""

    code = "UnauthorizedOperation"
    status = 403


# What is asked -----------------------------------------------------------------------------------------------


class InvalidAction(ApiFault):
    """The action is none that this server answers."""

    code = "InvalidAction"


class NoSuchVersion(ApiFault):
    """The version of the API is not the one that this server answers."""

    code = "NoSuchVersion"


class InvalidRequest(ApiFault):
    """The request is not of the form of this protocol."""

    code = "InvalidRequest"


class RequestEntityTooLarge(ApiFault):
    """The body is larger than any request of this API."""

    code = "RequestEntityTooLarge"
    status = 413


class RequestTimeout(ApiFault):
    """The body took too long to arrive."""

    code = "RequestTimeout"
    status = 408


class MissingAction(ApiFault):
    """The request names no action."""

    code = "MissingAction"


class MissingParameter(ApiFault):
    """A parameter that is required is not there."""

    code = "MissingParameter"


class UnknownParameter(ApiFault):
    """A parameter that the action does not have."""

    code = "UnknownParameter"


class InvalidParameterValue(ApiFault):
    """A value is not of the parameter's type or range."""

    code = "InvalidParameterValue"


class InvalidParameter(ApiFault):
    """A value, or several together, that the action does not allow."""

    code = "InvalidParameter"


class InvalidParameterCombination(ApiFault):
    """Parameters that exclude each other."""

    code = "InvalidParameterCombination"


class InvalidNextToken(ApiFault):
    """The page token is not one that this server gave for this request."""

    code = "InvalidNextToken"


class DryRunOperation(ApiFault):
    """The request would have succeeded; DryRun was asked for."""

    code = "DryRunOperation"
    status = 412


class IdempotentParameterMismatch(ApiFault):
    """The client token was used with other parameters before."""

    code = "IdempotentParameterMismatch"


# What it is about --------------------------------------------------------------------------------------------


class InvalidId(ApiFault):
    """A resource that cannot be tagged by this API: only flow logs can."""

    code = "InvalidID"


class InvalidFlowLogIdNotFound(ApiFault):
    """Flow logs that do not exist, or not in this account and Region."""

    code = "InvalidFlowLogId.NotFound"


class InvalidVpcIdNotFound(ApiFault):
    """VPCs that no agent's inventory has, or not in this account and Region."""

    code = "InvalidVpcID.NotFound"


class InvalidSubnetIdNotFound(ApiFault):
    """Subnets that no agent's inventory has."""

    code = "InvalidSubnetID.NotFound"


class InvalidNetworkInterfaceIdNotFound(ApiFault):
    """Network interfaces that no agent's inventory has."""

    code = "InvalidNetworkInterfaceID.NotFound"


class InvalidInstanceIdNotFound(ApiFault):
    """Instances that no agent's inventory has."""

    code = "InvalidInstanceID.NotFound"


class InvalidRouteTableIdNotFound(ApiFault):
    """Route tables that no agent's inventory has."""

    code = "InvalidRouteTableID.NotFound"


class InvalidGroupNotFound(ApiFault):
    """Security groups that no agent's inventory has."""

    code = "InvalidGroup.NotFound"


class InvalidNetworkAclIdNotFound(ApiFault):
    """Network ACLs that no agent's inventory has."""

    code = "InvalidNetworkAclID.NotFound"


class InvalidNatGatewayIdNotFound(ApiFault):
    """Regional NAT gateways that no agent's inventory has."""

    code = "NatGatewayNotFound"


class FlowLogAlreadyExists(ApiFault):
    """A flow log of that resource, traffic type and destination exists."""

    code = "FlowLogAlreadyExists"


class FlowLogsLimitExceeded(ApiFault):
    """The resource has as many flow logs as AWS allows."""

    code = "FlowLogsLimitExceeded"


class TagLimitExceeded(ApiFault):
    """The flow log has as many tags as AWS allows."""

    code = "TagLimitExceeded"


class InternalError(ApiFault):
    """Something went wrong in this server; its log has the request id."""

    code = "InternalError"
    status = 500


class ServiceUnavailable(ApiFault):
    """The server's state cannot be reached at the moment; try again."""

    code = "ServiceUnavailable"
    status = 503
