"""
The models that a studio can use: `studio.models`.
"""

from __future__ import annotations

import attrs

from imagesession._api.resource_base import Resource
from imagesession._api.signatures import public
from imagesession._domain.model_catalog import Kind as ModelKind
from imagesession._domain.model_catalog import ModelInfo
from imagesession._engine import reports
from imagesession._runtime.runtime import AsyncRuntime, Runtime


@public
@attrs.frozen(eq=False, repr=False)
class ModelsResource(Resource[Runtime]):
    """
    The available models: `studio.models`.
    """

    def list(self, *, kind: ModelKind | None = None, live: bool = False) -> tuple[ModelInfo, ...]:
        """
        Return the available models with their options, shutdown dates and prices.

        Args:
            kind: Only models that make images ("image") or lead conversations ("mainline").
            live: Whether to ask the provider which of them it offers, which is free.

        Raises:
            InvalidOptionError: There is no such kind.
            ImageSessionError: The provider cannot be reached.
        """
        return self._runtime.run(reports.models(self._runtime.config, kind, live=live))

    def get(self, name: str) -> ModelInfo:
        """
        Return the facts about a model, including retired ones.

        Args:
            name: Its name, or one of its dated names.

        Raises:
            NotFoundError: The catalogue has no such model; the error names some that it has.
        """
        return reports.find_model(self._runtime.config, name)


@public
@attrs.frozen(eq=False, repr=False)
class AsyncModelsResource(Resource[AsyncRuntime]):
    """
    Same as `ModelsResource`, but awaits.
    """

    async def list(
        self, *, kind: ModelKind | None = None, live: bool = False
    ) -> tuple[ModelInfo, ...]:
        """
        Same as `ModelsResource.list`, but awaits.
        """
        return await self._runtime.run(reports.models(self._runtime.config, kind, live=live))

    async def get(self, name: str) -> ModelInfo:
        """
        Same as `ModelsResource.get`, but awaits.
        """
        return reports.find_model(self._runtime.config, name)
