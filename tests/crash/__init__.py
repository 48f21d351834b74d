"""Crash tests of delivery: a process that records and delivers is killed, its disk, clock and servers are broken.

Rule: what a run claims it tells a process outside before it is killed, and what arrived is read back from the
destinations; nothing is taken from the code under test but its files.
"""
