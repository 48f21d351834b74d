"""One request to one answer: signature, action, permission, parameters, operation, audit.

Rule: it takes bytes and the time and returns bytes; nothing that a client sends raises. Each step's faults are
answered before the next is looked at, and every request leaves one line in the audit log, refused ones too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from flowglass.control import agents, audit, keys, model, query, signature, xml
from flowglass.control.agent_wire import AGENT_PATH, AGENT_SERVICE
from flowglass.control.call import Call, Caller, Services
from flowglass.control.faults import (
    ApiFault,
    AuthFailure,
    InternalError,
    InvalidAction,
    InvalidRequest,
    ServiceUnavailable,
    UnauthorizedOperation,
)
from flowglass.control.operations import OPERATIONS
from flowglass.control.signature import Credential, HttpRequest
from flowglass.control.store import Conflict, StoreUnavailable
from flowglass.control.store import keys as key_store

_AWS_SERVICES: Final = ("ec2", "sts")
_SERVICES: Final = frozenset((*_AWS_SERVICES, AGENT_SERVICE))
_FORM: Final = "application/x-www-form-urlencoded"
_XML: Final = "text/xml;charset=UTF-8"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `fault`: the code where the request was refused."""

    status: int
    content_type: str
    body: bytes
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a request came: from which address, when, and the random UUID that it is known by."""

    source: str
    now_ms: int
    request_id: str


@dataclass(slots=True)
class _Known:
    """What is known of a request so far, for the audit log."""

    service: str
    action: str = ""
    region: str = ""
    caller: Caller | None = None
    key_id: str | None = None
    parameters: Mapping[str, Any] | None = None
    account: str | None = None


class Service:
    """Answers requests. `home_account`: of callers whose key is bound to none, asked for on each call.

    `record`: takes the audit log's lines and raises OSError where it cannot; `failed`: is told of what went wrong
    inside (the request id and the error).
    """

    def __init__(
        self,
        services: Services,
        *,
        home_account: Callable[[], str],
        record: Callable[[dict[str, Any]], None],
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._services = services
        self._home_account = home_account
        self._record = record
        self._failed = failed

    def answer(self, request: HttpRequest, arrival: Arrival) -> Answer:
        """Answer one request; never raises."""
        known = _Known(_service_of(request))
        result: Mapping[str, Any] | None = None
        try:
            result, answer = self._serve(request, arrival, known)
        except ApiFault as fault:
            answer = _refusal(fault, known.service, arrival.request_id)
            message: str | None = fault.message
        except (Conflict, StoreUnavailable) as error:
            self._failed(arrival.request_id, error)
            answer, message = self._broken(
                ServiceUnavailable("The state cannot be reached; try again."), known, arrival
            )
        except Exception as error:
            self._failed(arrival.request_id, error)
            answer, message = self._broken(
                InternalError(f"An internal error has occurred; the server's log has request {arrival.request_id}."),
                known,
                arrival,
            )
        else:
            message = None
        return self._audited(request, arrival, known, answer, message, result)

    def refuse(self, fault: ApiFault, request: HttpRequest, arrival: Arrival) -> Answer:
        """Answer a request that is refused for its form before anything of it is read."""
        known = _Known(_service_of(request))
        return self._audited(
            request, arrival, known, _refusal(fault, known.service, arrival.request_id), fault.message, None
        )

    def _broken(self, fault: ApiFault, known: _Known, arrival: Arrival) -> tuple[Answer, str]:
        return _refusal(fault, known.service, arrival.request_id), fault.message

    def _serve(self, request: HttpRequest, arrival: Arrival, known: _Known) -> tuple[Mapping[str, Any], Answer]:
        """The result as botocore names it, and the answer."""
        credential = self._authenticate(request, arrival.now_ms, known)
        caller = known.caller
        if caller is None:
            raise AuthFailure("AWS was not able to validate the provided access credentials")
        _refuse_packed(request)
        if credential.service == AGENT_SERVICE:
            return self._serve_agent(request, arrival, known, caller)
        action, _, pairs = query.split_action(_pairs(request))
        known.action = action
        operation = model.operation(action, service=credential.service)
        if operation is None:
            raise InvalidAction(f"The action {action} is not valid for this web service.")
        _authorise(caller, action)
        parameters = query.parse(operation, pairs)
        known.parameters = parameters
        call = self._call(action, parameters, caller, credential.region, arrival)
        result = OPERATIONS[action](call, self._services)
        body = xml.answer(operation, result, arrival.request_id)
        return result, Answer(200, _XML, body)

    def _serve_agent(
        self, request: HttpRequest, arrival: Arrival, known: _Known, caller: Caller
    ) -> tuple[Mapping[str, Any], Answer]:
        path = unquote(request.path.decode("latin-1"))
        if request.method != "POST" or not path.startswith(AGENT_PATH):
            raise InvalidRequest(f"Agents POST to {AGENT_PATH}<name>.")
        name = path.removeprefix(AGENT_PATH)
        known.action = name
        _authorise(caller, f"agent:{name}")
        call = self._call(name, {}, caller, known.region, arrival)
        result = agents.run(name, call, self._services, request.body)
        return {}, Answer(200, _JSON, json.dumps(result).encode())

    def _authenticate(self, request: HttpRequest, now_ms: int, known: _Known) -> Credential:
        """Check who asks; an unknown key costs as much as a wrong secret."""
        claimed = signature.read_credential(request)
        known.key_id = claimed.key_id
        known.region = claimed.region
        if claimed.service in _SERVICES:
            known.service = claimed.service
        row = self._services.store.read(lambda connection: key_store.get(connection, claimed.key_id))
        if row is None:
            signature.verify_unknown(request, now_ms=now_ms, services=_SERVICES)
            raise AuthFailure("AWS was not able to validate the provided access credentials")
        credential = signature.verify(request, row.secret, now_ms=now_ms, services=_SERVICES)
        known.caller = keys.check(row, now_ms)
        known.account = known.caller.account
        return credential

    def _call(self, action: str, parameters: Mapping[str, Any], caller: Caller, region: str, arrival: Arrival) -> Call:
        return Call(
            action=action,
            parameters=parameters,
            caller=caller,
            account=caller.account,
            home_account=caller.account or self._home_account(),
            region=region,
            request_id=arrival.request_id,
            now_ms=arrival.now_ms,
        )

    def _audited(
        self,
        request: HttpRequest,
        arrival: Arrival,
        known: _Known,
        answer: Answer,
        message: str | None,
        result: Mapping[str, Any] | None,
    ) -> Answer:
        """The answer, once its line is in the audit log; without one the caller is told that nothing is certain."""
        try:
            self._record(
                audit.event(
                    service=known.service,
                    action=known.action or _claimed_action(request),
                    region=known.region,
                    caller=known.caller,
                    key_id=known.key_id,
                    account=known.account or self._account(),
                    parameters=known.parameters,
                    result=result,
                    fault=answer.fault,
                    message=message,
                    source=arrival.source,
                    user_agent=_header(request, "user-agent"),
                    request_id=arrival.request_id,
                    now_ms=arrival.now_ms,
                )
            )
        except Exception as error:  # OSError, or a fault of the program, which must not let a call pass unwritten
            self._failed(arrival.request_id, error)
            fault = ServiceUnavailable("The audit log cannot be written, so no call is answered; see the server's log.")
            return _refusal(fault, known.service, arrival.request_id)
        return answer

    def _account(self) -> str | None:
        try:
            return self._home_account()
        except (Conflict, StoreUnavailable):
            return None


def _service_of(request: HttpRequest) -> str:
    """Whose envelope a request is answered in before its signature says more."""
    return AGENT_SERVICE if request.path.startswith(AGENT_PATH.encode()) else "ec2"


def _refuse_packed(request: HttpRequest) -> None:
    if any(
        name.lower() == "content-encoding" and value.strip().lower() != "identity" for name, value in request.headers
    ):
        raise InvalidRequest("The body has a Content-Encoding: send it as it is, not compressed.")


def _pairs(request: HttpRequest) -> list[tuple[str, str]]:
    """The request's form: of the body of a POST, or the query of a GET."""
    if request.path not in (b"", b"/"):
        raise InvalidRequest(f"The path of this API is /, not {request.path.decode('latin-1')[:200]}.")
    if request.method == "GET":
        return query.decode(request.query)
    if request.method != "POST":
        raise InvalidRequest("The request method must be GET or POST.")
    kind = _header(request, "content-type").partition(";")[0].strip().lower()
    if request.body and kind != _FORM:
        raise InvalidRequest(f"The content type must be {_FORM}.")
    return query.decode(request.query) + query.decode(request.body)


def _claimed_action(request: HttpRequest) -> str:
    """What a request asks for that was refused before that was looked at, for the audit log; "" if that is not told."""
    if request.path.startswith(AGENT_PATH.encode()):
        return unquote(request.path.decode("latin-1")).removeprefix(AGENT_PATH)
    try:
        return next((value for name, value in _pairs(request) if name == "Action"), "")
    except ApiFault:
        return ""


def _header(request: HttpRequest, name: str) -> str:
    return next((value for key, value in request.headers if key.lower() == name), "")


def _authorise(caller: Caller, action: str) -> None:
    if not keys.may(caller, action):
        raise UnauthorizedOperation(
            f"You are not authorized to perform this operation. The {caller.role.value} key {caller.key_id} "
            f"may not call {action}."
        )


def _refusal(fault: ApiFault, service: str, request_id: str) -> Answer:
    if service == AGENT_SERVICE:
        content = json.dumps({"code": fault.code, "message": fault.message, "request_id": request_id}).encode()
        return Answer(fault.status, _JSON, content, fault.code)
    return Answer(fault.status, _XML, xml.error(fault.code, fault.message, request_id, service=service), fault.code)
