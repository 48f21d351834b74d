"""Destinations: where objects and log events go, one file each.

Rule: a sink is one file here and one line in LOCAL_SINKS or SERVICE_SINKS of `deliver/outlets.py`.
"""

from flowglass.deliver.sinks.cloudwatch import CloudWatchSink
from flowglass.deliver.sinks.directory import DirectorySink
from flowglass.deliver.sinks.firehose import FirehoseSink
from flowglass.deliver.sinks.model import EventBatch, EventSink, Sent, Sink
from flowglass.deliver.sinks.s3 import S3Sink

__all__ = [
    "CloudWatchSink",
    "DirectorySink",
    "EventBatch",
    "EventSink",
    "FirehoseSink",
    "S3Sink",
    "Sent",
    "Sink",
]
