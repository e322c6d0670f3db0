"""
A library: the `Store` that workflows call. Its rules stand here once, above the ports.
"""

from __future__ import annotations

from imagesession._domain.health import HealthCheck
from imagesession._engine.store import IdAndTime
from imagesession.errors import InvalidRequestError

from .batches import BatchStore
from .export import SessionExport
from .images import ImageStore
from .intents import IntentStore
from .marks import MarkStore
from .ports import Ports
from .providers import ProviderStore, UploadStore
from .removals import RemovalStore
from .repair import RepairStore
from .sessions import SessionStore
from .targets import TargetStore
from .turns import TurnStore
from .view import ProcessState, View


class LibraryStore:
    """
    Images and their records, as somebody sees them.
    """

    def __init__(self, ports: Ports, view: View | None = None) -> None:
        self.ports = ports
        self._view = view = view or View(ports)
        self.state: ProcessState = view.state
        self.intents = IntentStore(view)
        self.turns = TurnStore(view)
        self.sessions = SessionStore(view)
        self.images = ImageStore(view)
        self.batches = BatchStore(view)
        self.marks = MarkStore(view)
        self.uploads = UploadStore(view)
        self.providers = ProviderStore(view)
        self.exports = SessionExport(view)
        self.repairs = RepairStore(view)
        self.targets = TargetStore(view)
        # What others have of the same files and conversations decides what may go.
        self.removals = RemovalStore(view.seen_by(None))

    @property
    def owner(self) -> str | None:
        return self._view.owner

    @property
    def address(self) -> str:
        return self.ports.address

    def new_id(self, after: str = "") -> IdAndTime:
        return self._view.new_id(after)

    def sees(self, owner: str | None) -> bool:
        return self._view.sees(owner)

    def seen_by(self, owner: str | None) -> LibraryStore:
        return self if owner == self.owner else LibraryStore(self.ports, self._view.seen_by(owner))

    def check_health(self, *, verify: bool, repair: bool = False) -> tuple[HealthCheck, ...]:
        """
        Check the library. Records and images are changed only to `repair`, which brings records
        back before.
        """
        if self.owner is not None:
            raise InvalidRequestError(
                "doctor() looks at the whole library, of which an owner sees a part. Call it on a "
                "studio without owner=."
            )
        repaired = (self.repairs.repair(),) if repair else ()
        checks = self.ports.check_health(self.intents.pending, verify=verify)
        return (*repaired, *checks, self.removals.check())

    def close(self) -> None:
        self.ports.close()
