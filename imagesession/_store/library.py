"""
A library: the `Store` that workflows call. Its rules stand here once, above the ports.
"""

from __future__ import annotations

from imagesession._domain.health import HealthCheck
from imagesession.errors import InvalidRequestError

from .export import SessionExport
from .pacing import ProviderStore
from .repair import RepairStore
from .retention import RetentionStore
from .turns import TurnStore


class LibraryStore(RepairStore, RetentionStore, SessionExport, TurnStore, ProviderStore):
    """
    Images and their records.

    Args:
        ports: What they are kept on.
    """

    @property
    def address(self) -> str:
        return self.ports.address

    def check_health(self, *, verify: bool, repair: bool = False) -> tuple[HealthCheck, ...]:
        """
        Check the library.

        Args:
            verify: Whether to read every image and compare it with its record.
            repair: Whether to bring records back before. Otherwise, records and images are not
                changed.

        Raises:
            InvalidRequestError: The studio is an owner's, and the library is everybody's.
        """
        if self.owner is not None:
            raise InvalidRequestError(
                "doctor() looks at the whole library, of which an owner sees a part. Call it on a "
                "studio without owner=."
            )
        repaired = (self.repair(),) if repair else ()
        checks = self.ports.check_health(self.pending, verify=verify)
        return (*repaired, *checks, self.check_removals())

    def close(self) -> None:
        self.ports.close()
