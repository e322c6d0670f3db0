"""
What type checkers make of the public face. Checked, never run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

    from imagesession import (
        AsyncImageSession,
        AsyncSavedImage,
        AsyncStudio,
        BatchStatus,
        ImageBatch,
        ImageSession,
        PartialImage,
        Results,
        SavedImage,
        Studio,
        Tree,
        Turn,
    )
    from imagesession.types import OptionParams, Quality

    def sync(picture: Image.Image) -> None:
        """
        Use the sync twin.
        """
        studio = Studio(quality="high")
        assert_type(Studio.offline(), Studio)
        assert_type(Studio.from_env(size="1024x1024"), Studio)
        session = studio.session("x", name="y", size=(1536, 864))
        assert_type(session, ImageSession)
        image = session.generate("x", references=[picture, b"", "path"], quality="max")
        assert_type(image, SavedImage)
        assert_type(image.path, Path)
        assert_type(image.turn, Turn)
        assert_type(image.bytes, bytes)
        assert_type(image.open(), Image.Image)
        assert_type(image.branch("x").generate("y"), SavedImage)
        assert_type(session.undo(), SavedImage | None)
        assert_type(session.tree(), Tree)
        assert_type(studio.images.list(limit=3, before=image), tuple[SavedImage, ...])
        for event in session.stream("x", partial_images=2):
            assert_type(event, PartialImage | SavedImage)
        batch = studio.batches.create(["x"], name="y", size="1024x1024")
        assert_type(batch, ImageBatch)
        assert_type(batch.wait(10), Results[SavedImage])
        assert_type(studio.batches.get("y").status(), BatchStatus)
        quality: Quality = "low"
        options: OptionParams = {"quality": quality, "size": (1024, 1024)}
        assert_type(studio.generate("x", **options), SavedImage)
        session.generate("x", quality="ultra")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        session.generate("x", colour="red")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]

    async def asynchronous() -> None:
        """
        Use the async twin.
        """
        async with AsyncStudio() as studio:
            session = await studio.session("x")
            assert_type(session, AsyncImageSession)
            image = await session.generate("x", references=b"")
            assert_type(image, AsyncSavedImage)
            assert_type(await (await image.branch()).head(), AsyncSavedImage | None)
            assert_type(
                await (await studio.batches.create(["x"])).results(), Results[AsyncSavedImage]
            )
            async for event in session.stream("x"):
                assert_type(event, PartialImage | AsyncSavedImage)
