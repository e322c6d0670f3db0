"""
What both twins of a studio share: how it is opened, and its facts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from imagesession._api import pickling, workflows
from imagesession._api.config import OFFLINE, StudioParams
from imagesession._api.signatures import public_base
from imagesession._display.progress import ProgressLine
from imagesession._domain.model_catalog import Prices
from imagesession._engine.effects import Workflow
from imagesession._engine.request import StudioConfig
from imagesession._engine.sessions import BranchHead
from imagesession._runtime.lazy_client import LazyClient
from imagesession._runtime.runtime import AnyRuntime, AsyncRuntime, Runtime
from imagesession._store.library import LibraryStore
from imagesession._store.team.address import is_team_address

if TYPE_CHECKING:
    from typing import NoReturn


@public_base
class StudioFacts(Generic[AnyRuntime]):
    """
    A studio without the verbs that run workflows.
    """

    _is_view = False
    _runtime_class: type[AnyRuntime]

    def _initialize(
        self,
        store: LibraryStore,
        connect: Callable[[], Any],
        provider: str,
        config: StudioConfig,
        options: StudioParams,
    ) -> None:
        self._connection = LazyClient[Any](connect)
        self._runtime: AnyRuntime = self._runtime_class(
            library=store,
            config=config,
            provider=provider,
            connect=self._connection,
            show_progress=ProgressLine,
            reopen=(self._reopen, (store.address, provider, pickling.public_settings(options))),
        )
        pickling.remember_open(self._runtime)

    @classmethod
    def _reopen(cls, library: str, provider: str, settings: dict[str, Any]) -> object:
        """
        Return the runtime of an unpickled image.
        """
        twin: Any = cls
        make = twin.offline if provider == OFFLINE else twin
        return pickling.reopen(
            twin._runtime_class,  # noqa: SLF001 - it is our own
            library,
            provider,
            settings.get("owner"),
            lambda: make(library, **settings)._runtime,  # noqa: SLF001 - it is our own
        )

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"A {type(self).__name__} cannot be pickled. Open one in each process; its images and "
            "sessions can be pickled, and find their library again."
        )

    @property
    def owner(self) -> str | None:
        """
        Whose studio it is; None if it sees everything.
        """
        return self._runtime.library.owner

    @property
    def library(self) -> Path | str:
        """
        Where images are saved: a folder; or the URL of a library on PostgreSQL and S3, without its
        password.
        """
        address = self._runtime.library.address
        return address if is_team_address(address) else Path(address)

    @property
    def provider(self) -> str:
        """
        A description of the provider that makes the images.
        """
        return self._runtime.provider

    @property
    def prices(self) -> Mapping[str, Prices]:
        """
        The known prices by model: the catalogue's, and those given by hand.
        """
        return self._runtime.config.catalogue.all_prices

    def _branch_head(self) -> Workflow[BranchHead | None]:
        return workflows.standalone()

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        # Files are read synchronously, because display cannot await.
        from imagesession._display import notebook  # noqa: PLC0415 - loads Pillow and Jinja

        library = self._runtime.library
        return notebook.studio(library, library.address, self.provider, repr(self)), {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {str(self.library)!r}, {self.provider}>"


# Not generic, as `help()` shows the arguments of a generic base.
@public_base
class SyncStudioFacts(StudioFacts[Runtime]):
    _runtime_class = Runtime


@public_base
class AsyncStudioFacts(StudioFacts[AsyncRuntime]):
    _runtime_class = AsyncRuntime
