"""Records to their destination: objects built, named and put where they can be read.

Rule: an object is delivered whole or not at all, and never over another one.
"""

from flowglass.deliver.aws import BucketSettings, ServiceSettings
from flowglass.deliver.backlog import Backlog, backlogs
from flowglass.deliver.builder import MAX_BYTES, ObjectBuilder
from flowglass.deliver.destinations import AnyDestinations
from flowglass.deliver.events import EventBuilder
from flowglass.deliver.local import Bucket, BucketUsage, LocalDestinations, LocalStore
from flowglass.deliver.local.names import key_fault
from flowglass.deliver.local.retention import Removed, Retention, remove_old
from flowglass.deliver.local.store import FOLDERS as STORE_FOLDERS
from flowglass.deliver.manifest import note_removed
from flowglass.deliver.outlets import Outlets
from flowglass.deliver.periods import Delivered
from flowglass.deliver.places import place_of
from flowglass.deliver.readback import objects_at
from flowglass.deliver.remote import RealDestinations
from flowglass.deliver.requests import Action, drop_waiting
from flowglass.deliver.rows import BASE_WINDOW_S, union
from flowglass.deliver.rules import DestinationRules
from flowglass.deliver.sinks import DirectorySink, S3Sink, Sink
from flowglass.deliver.spool import (
    LIVE,
    Limits,
    Recording,
    Request,
    Segment,
    Share,
    Spool,
    SpoolView,
    StagedObject,
    Status,
    Step,
    Unit,
)
from flowglass.deliver.temp import TempFile
from flowglass.deliver.verify import Fault, Finding, Report, verify_objects
from flowglass.deliver.worker import Delivery

__all__ = [
    "BASE_WINDOW_S",
    "LIVE",
    "MAX_BYTES",
    "STORE_FOLDERS",
    "Action",
    "AnyDestinations",
    "Backlog",
    "Bucket",
    "BucketSettings",
    "BucketUsage",
    "Delivered",
    "Delivery",
    "DestinationRules",
    "DirectorySink",
    "EventBuilder",
    "Fault",
    "Finding",
    "Limits",
    "LocalDestinations",
    "LocalStore",
    "ObjectBuilder",
    "Outlets",
    "RealDestinations",
    "Recording",
    "Removed",
    "Report",
    "Request",
    "Retention",
    "S3Sink",
    "Segment",
    "ServiceSettings",
    "Share",
    "Sink",
    "Spool",
    "SpoolView",
    "StagedObject",
    "Status",
    "Step",
    "TempFile",
    "Unit",
    "backlogs",
    "drop_waiting",
    "key_fault",
    "note_removed",
    "objects_at",
    "place_of",
    "remove_old",
    "union",
    "verify_objects",
]
