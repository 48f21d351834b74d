"""Capture sources: one file a kind of source.

Rule: a source hands over blocks of frames and its own counters of loss; damage ends one file, not the run.
"""
