"""The agent: takes captures, records them for the server's flow logs, delivers, and reports.

Rule: it listens nowhere and needs only the base packages; the server may be away, it goes on with what it last knew.
"""
