"""Records to their destination: objects built, named and put where they can be read.

Rule: an object is delivered whole or not at all, and never over another one.
"""

from flowglass.deliver.builder import MAX_BYTES, ObjectBuilder
from flowglass.deliver.builders import builder_for
from flowglass.deliver.events import EventBuilder
from flowglass.deliver.local import Bucket, BucketUsage, DestinationRules, LocalDestinations, LocalStore
from flowglass.deliver.periods import Delivered
from flowglass.deliver.sinks import SINKS, DirectorySink, Sink
from flowglass.deliver.temp import TempFile

__all__ = [
    "MAX_BYTES",
    "SINKS",
    "Bucket",
    "BucketUsage",
    "Delivered",
    "DestinationRules",
    "DirectorySink",
    "EventBuilder",
    "LocalDestinations",
    "LocalStore",
    "ObjectBuilder",
    "Sink",
    "TempFile",
    "builder_for",
]
