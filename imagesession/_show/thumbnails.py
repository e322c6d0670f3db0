"""
Small pictures of large ones: light enough for a page, a notebook or a sheet.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs
import pybase64

from imagesession._model.pictures import MIME_TYPES, PictureFormat
from imagesession._pixels.door import open_picture
from imagesession._pixels.forms import has_alpha, plain, profile, upright
from imagesession._pixels.typed import resized, srgb

if TYPE_CHECKING:
    from PIL import Image

Forms = tuple[PictureFormat, ...]
ONE_OF: Forms = ("png", "jpeg")
"""What every program shows."""
IN_PAGES: Forms = ("webp",)
"""What is lightest, and shown by every browser."""
_SAVING: Mapping[PictureFormat, Mapping[str, Any]] = {
    "png": {},
    "jpeg": {"quality": 84},
    "webp": {"quality": 76, "method": 4},
}
# The squares behind what is transparent, in pixels and as shades of grey.
_SQUARE = 8
_SHADES = (255, 229)


@attrs.frozen(kw_only=True)
class Thumbnail:
    """
    A small picture as a file.

    Attributes:
        data: Its bytes.
        mime: What it is, such as "image/jpeg".
        width: In pixels.
        height: In pixels.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    mime: str
    width: int
    height: int

    @property
    def address(self) -> str:
        """
        Itself as the address of an image: it fetches nothing.
        """
        return f"data:{self.mime};base64,{encoded(self.data)}"


def encoded(data: bytes) -> str:
    """
    Write bytes as base64.
    """
    return pybase64.b64encode(data).decode("ascii")


def small(data: bytes, name: str, box: tuple[int, int], *, enlarged: float = 1.0) -> Image.Image:
    """
    Open a picture and make it small, in RGB; what is transparent lies on a checkerboard.

    Args:
        data: The file's bytes, of any format with pixels; of an animation the first frame is used.
        name: What to call it in errors.
        box: The most that it may be wide and high, in pixels.
        enlarged: How many times as large it may become at most, where it is smaller than that.

    Raises:
        PictureError: It is no picture that can be read, not whole, or has too many pixels.
    """
    picture = plain(upright(open_picture(data, name)), name)
    icc = profile(picture)
    scale = min(box[0] / picture.width, box[1] / picture.height, enlarged)
    if scale != 1.0:
        picture = _scaled(picture, scale)
    body = _in_srgb(picture.convert("L" if picture.mode in {"L", "LA"} else "RGB"), icc)
    if not has_alpha(picture):
        return body
    ground = checkerboard(picture.size)
    ground.paste(body, mask=picture.getchannel("A"))
    return ground


def thumbnail(data: bytes, name: str, box: tuple[int, int], forms: Forms = ONE_OF) -> Thumbnail:
    """
    Make a small picture, in the lightest of some formats: flat colours make a light PNG, others
    a light JPEG.

    Args:
        data: As for `small`.
        name: As for `small`.
        box: As for `small`; it is never made larger.
        forms: The formats.

    Raises:
        PictureError: As for `small`.
    """
    picture = small(data, name, box)
    files: dict[PictureFormat, bytes] = {form: _saved(picture, form) for form in forms}
    form, lightest = min(files.items(), key=lambda file: len(file[1]))
    width, height = picture.size
    return Thumbnail(data=lightest, mime=MIME_TYPES[form], width=width, height=height)


def checkerboard(size: tuple[int, int], square: int = _SQUARE) -> Image.Image:
    """
    Draw the squares that stand for nothing.

    Args:
        size: Width and height in pixels.
        square: The side of a square, in pixels.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    light, dark = _SHADES
    few = Image.new("L", (2, 2), light)
    few.putpixel((1, 0), dark)
    few.putpixel((0, 1), dark)
    tile = resized(few, (2 * square, 2 * square), Image.Resampling.NEAREST)
    ground = Image.new("L", size)
    for left in range(0, size[0], tile.width):
        for top in range(0, size[1], tile.height):
            ground.paste(tile, (left, top))
    return ground.convert("RGB")


def _scaled(picture: Image.Image, scale: float) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return resized(picture, size, Image.Resampling.LANCZOS)


def _in_srgb(picture: Image.Image, icc: bytes | None) -> Image.Image:
    """
    Bring a picture into the colours that are meant where no profile says otherwise.
    """
    from PIL import ImageCms  # noqa: PLC0415 - slow to import, and hardly ever needed

    if icc is None:
        return picture.convert("RGB")
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        found = ImageCms.profileToProfile(picture, own, srgb(), outputMode="RGB")
    # A profile that cannot be read is as good as none.
    except (ImageCms.PyCMSError, OSError):
        found = None
    return picture.convert("RGB") if found is None else found


def _saved(picture: Image.Image, form: PictureFormat) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form.upper(), optimize=True, icc_profile=None, **_SAVING[form])
    return buffer.getvalue()
