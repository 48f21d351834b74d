"""The application: options, wiring of the rooms, the command line, the Python interface.

Rule: it talks to people and decides nothing that a room decides.
"""
