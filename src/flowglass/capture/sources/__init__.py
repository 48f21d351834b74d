"""Capture sources: one file a kind of source; each hands over blocks of frames and its own counters of loss."""
