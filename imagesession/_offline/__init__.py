"""
The embedded provider: OpenAI's wire, spoken without a network, by a sketcher.
"""

from imagesession._offline.app import OfflineProvider
from imagesession._offline.server import serve
from imagesession._offline.transport import AsyncOfflineTransport, OfflineTransport

__all__ = ["AsyncOfflineTransport", "OfflineProvider", "OfflineTransport", "serve"]
