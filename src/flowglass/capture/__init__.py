"""Frames in: capture files of every kind as one stream of frame blocks.

Rule: a source hands out blocks, a table of its capture points and its own counters of loss; it decodes nothing.
"""

from flowglass.capture.files import CaptureFile, CaptureFiles, named_captures
from flowglass.capture.points import SUPPORTED, Points, link_type_name

__all__ = ["SUPPORTED", "CaptureFile", "CaptureFiles", "Points", "link_type_name", "named_captures"]
