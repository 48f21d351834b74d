"""Records to their destination: objects built, named and put where they can be read.

Rule: an object is delivered whole or not at all, and never over another one.
"""

from flowglass.deliver.builder import MAX_BYTES, Delivered, ObjectBuilder
from flowglass.deliver.sinks import SINKS, DirectorySink, Sink
from flowglass.deliver.temp import TempFile

__all__ = ["MAX_BYTES", "SINKS", "Delivered", "DirectorySink", "ObjectBuilder", "Sink", "TempFile"]
