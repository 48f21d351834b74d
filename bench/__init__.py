"""Benchmarks: `python -m bench` from the root of the repository.

Rule: costs are CPU seconds of whole processes, compared within one run, in turn; never wall time alone.
"""
