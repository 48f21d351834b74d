"""The command line: one file a command.

Rule: a command parses, calls a room, prints. Nothing heavy is imported before a command runs, so `--help` is quick.
"""
