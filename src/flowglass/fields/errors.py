"""The error tree of the whole project.

Error:
    ├── OptionError            a command line option or argument that makes no sense
    ├── LogFormatError         a log format that AWS would refuse
    ├── InventoryError         an inventory file that is wrong
    ├── ConfigError            a configuration that is wrong, or cannot be used
    ├── CaptureError
    │   ├── CaptureMissing     a capture file that is not there or may not be read
    │   ├── CaptureUnreadable  a file that is no capture
    │   ├── LinkTypeUnsupported  a capture of which no link type is known
    │   ├── CaptureEmpty       a capture without a packet
    │   └── CaptureDamaged     a capture cut or damaged: what stands before the damage was recorded
    ├── ObjectUnreadable       a flow-log object that cannot be read
    ├── DeliveryError
    │   ├── DestinationUnwritable  a folder that cannot be written
    │   ├── DestinationFull        no space left
    │   ├── DestinationRefused     a service that refuses: credentials, rights, no such bucket
    │   │   └── RequestRefused     a service that refuses what is asked, whoever asks
    │   ├── RecordsTooNew          a service that takes nothing from so far ahead of its clock
    │   ├── DestinationThrottled   a service that asks for fewer requests
    │   └── DestinationUnreachable a service that does not answer, or not as it should
    └── StateError             a state that cannot be used

Rule: a caller's mistake raises one of these with one line: what, where, what to do; a wrong configuration has a line
a fault. Data from outside (a packet, an unknown address) never raises; it is counted. Every class has an exit code of
its own, which stays reserved.

"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """Something went wrong that Flowglass has no better name for. Report it with the message."""

    exit_code: ClassVar[int] = 1


class OptionError(Error):
    """An option or argument makes no sense. Correct it as the message says; `--help` lists them."""

    exit_code: ClassVar[int] = 2


class LogFormatError(Error):
    """The log format is wrong. The message names every fault; `flowglass fields` lists the names."""

    exit_code: ClassVar[int] = 3


class InventoryError(Error):
    """The inventory file is wrong. `flowglass inventory check FILE` lists every fault with its line and remedy."""

    exit_code: ClassVar[int] = 4


class ConfigError(Error):
    """The configuration is wrong: a line a fault, with its place. `flowglass config show` tells what is set where."""

    exit_code: ClassVar[int] = 5


class CaptureError(Error):
    """A capture cannot be read."""

    exit_code: ClassVar[int] = 10


class CaptureMissing(CaptureError):
    """A capture file is not there, or you may not read it. Check the path and its permissions."""

    exit_code: ClassVar[int] = 11


class CaptureUnreadable(CaptureError):
    """A file is no pcap or pcapng capture. Convert it, for example with `editcap`, or leave it out."""

    exit_code: ClassVar[int] = 12


class LinkTypeUnsupported(CaptureError):
    """No packet has a link type that Flowglass reads. `docs/reference/link-types.md` lists those it does."""

    exit_code: ClassVar[int] = 13


class CaptureEmpty(CaptureError):
    """A capture holds no packet, so there is nothing to record. Check its filter and its interface."""

    exit_code: ClassVar[int] = 14


class CaptureDamaged(CaptureError):
    """A capture ends early or is damaged. What stands before the damage was recorded; the message has the offset."""

    exit_code: ClassVar[int] = 15


class ObjectUnreadable(Error):
    """A flow-log object cannot be read. The message names the file, the place and what was expected."""

    exit_code: ClassVar[int] = 20


class DeliveryError(Error):
    """Records could not be delivered. No half-written object is left."""

    exit_code: ClassVar[int] = 30

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        """Take how long a service asks to wait before the next attempt, None where none does."""
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DestinationUnwritable(DeliveryError):
    """The destination cannot be written. Check that it is a folder and that you may write there."""

    exit_code: ClassVar[int] = 31


class DestinationFull(DeliveryError):
    """The destination has no space left. Make room and run the command again: it goes on where it must."""

    exit_code: ClassVar[int] = 32


class DestinationRefused(DeliveryError):
    """The destination refuses: wrong or expired credentials, no right to write, no such bucket, group or stream."""

    exit_code: ClassVar[int] = 33


class RequestRefused(DestinationRefused):
    """The destination refuses what it is asked, whoever asks. Correct what the message names."""

    exit_code: ClassVar[int] = 36


class RecordsTooNew(DeliveryError):
    """The destination takes no records from so far ahead of its clock. Set the clock here right; they wait."""

    exit_code: ClassVar[int] = 37


class DestinationThrottled(DeliveryError):
    """The destination asks for fewer requests. Try again later, or raise its quota."""

    exit_code: ClassVar[int] = 34


class DestinationUnreachable(DeliveryError):
    """The destination does not answer, or fails. Check its endpoint and the network; try again later."""

    exit_code: ClassVar[int] = 35


class StateError(Error):
    """The server's state or the agent's spool cannot be used. The message names it, the reason and the remedy."""

    exit_code: ClassVar[int] = 40


INTERRUPTED = 130
"""Exit code after Ctrl-C: 128 + SIGINT, as shells have it. What was complete was delivered."""


def all_errors() -> tuple[type[Error], ...]:
    """Every class of the tree, parents first, in the order of definition."""
    found: list[type[Error]] = [Error]
    for cls in found:
        found.extend(cls.__subclasses__())
    return tuple(sorted(found, key=lambda cls: cls.exit_code))
