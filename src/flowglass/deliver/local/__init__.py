"""The local store, which serves every destination for which no real one is configured.

Rule: names from outside become names of folders in names.py and nowhere else.
"""

from flowglass.deliver.local.destinations import LocalDestinations
from flowglass.deliver.local.store import Bucket, BucketUsage, LocalStore

__all__ = ["Bucket", "BucketUsage", "LocalDestinations", "LocalStore"]
