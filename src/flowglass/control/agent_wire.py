"""How an agent's requests look: where they go, and the service that their signature names.

Rule: what both sides need, and nothing that only one of them has installed.
"""

from typing import Final

AGENT_SERVICE: Final = "flowglass"
"""The service name in the credential scope of an agent's requests."""
AGENT_PATH: Final = "/agent/v1/"
"""Calls are POSTs of JSON to this path and a name."""
AGENT_REGION: Final = "agents"
"""The Region in the credential scope: agents speak for all Regions of their inventory."""
MOST_BYTES: Final = 8 << 20
"""The largest body of one call; longer inventories are sent in parts."""
