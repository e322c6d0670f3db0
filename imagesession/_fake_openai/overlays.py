"""
Masks and markups: images that show where an image may be edited.
"""

import io
from typing import Literal

import attrs
from PIL import Image, UnidentifiedImageError

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.sketch.edit import mask_around


@attrs.frozen(kw_only=True)
class Overlay:
    """
    A mask or a markup.

    Attributes:
        data: The encoded image.
        param: Its path in the request.

    """

    kind: Literal["mask", "markup"]
    data: bytes = attrs.field(repr=False)
    param: str

    def mask_for(self, base: bytes) -> bytes:
        """
        Return the mask for the sketcher: transparent where the image may change.

        Args:
            base: The image to edit.

        Raises:
            RefusalError: The overlay does not fit the image, or marks nothing.

        """
        with (
            open_picture(self.data, 1, self.param) as over,
            open_picture(base, 1, self.param) as picture,
        ):
            if "A" not in over.getbands() and "transparency" not in over.info:
                raise self._misfit("image missing alpha channel")
            if over.size != picture.size:
                raise self._misfit("size does not match image size")
        return self.data if self.kind == "mask" else self._around_strokes()

    def _around_strokes(self) -> bytes:
        try:
            mask = mask_around(self.data)
        except ValueError:
            raise RefusalError("unreadable_image", self.param, number=1) from None
        if mask is None:
            raise self._misfit("image must have strokes and transparent pixels")
        return mask

    def _misfit(self, fault: str) -> RefusalError:
        return RefusalError("bad_overlay", self.param, kind=self.kind, fault=fault)


def open_picture(data: bytes, number: int, param: str) -> Image.Image:
    """
    Open an image without decoding it.

    Args:
        data: The encoded image.
        number: Its number in the request, from 1.
        param: Its path in the request.

    Raises:
        RefusalError: It cannot be opened.

    """
    try:
        return Image.open(io.BytesIO(data))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        raise RefusalError("unreadable_image", param, number=number) from None
