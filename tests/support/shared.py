"""Where captures and flow logs of others lie beside the checkout, for tests that use them when they are there.

Rule: nothing of it is copied; a test that needs it says that it is missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
DATA: Final = ROOT.parent / "shared" / "data"

needs_captures = pytest.mark.skipif(
    not (DATA / "pcap").is_dir(), reason="the folder ../shared/data/pcap of reference captures is not there"
)


def captures() -> list[Path]:
    """Captures that have reference flows beside them."""
    tables = sorted((DATA / "pcap").glob("*.flows.csv")) if (DATA / "pcap").is_dir() else []
    return [table.with_name(table.name.removesuffix(".flows.csv")) for table in tables]
