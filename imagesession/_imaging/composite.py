"""
Join pictures: keep what a mask protects, and check what is drawn over a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagesession.errors import InvalidImageError

from .color import encode_png, has_alpha, icc_profile
from .decode import decode_upright
from .inputs import read_image_input
from .mask_ops import Size, check_size
from .pillow_typing import apply_lut, resize

if TYPE_CHECKING:
    from PIL import Image

# What opens in part; the two ends are exact already.
_BETWEEN = [0, *[255] * 254, 0]
_OPAQUE = 255


def restore_unmasked(original: bytes, reply: bytes, opening: Image.Image) -> bytes:
    """
    Put back what a mask protects: models change it more often than not.

    Args:
        original: The picture that was sent, as a file's bytes.
        reply: The picture that came back; if it has another size, it is rescaled.
        opening: As `Mask.opening` draws it, in the size of the original.

    Returns:
        A PNG in the original's size and with its colour profile. Where the opening is 0 its
        pixels are the original's to the last bit, in 8 bits a channel; where it is 255 they are
        the reply's; between, they are blended.

    Raises:
        InvalidImageError: A picture cannot be read, or the opening has another size.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    before = decode_upright(original, "The picture that was sent")
    after = decode_upright(reply, "The picture that came back")
    check_size("mask", opening.size, before.size, fit=False)
    mode = "RGBA" if has_alpha(before) or has_alpha(after) else "RGB"
    kept, changed = before.convert(mode), after.convert(mode)
    if changed.size != kept.size:
        changed = resize(changed, kept.size, Image.Resampling.LANCZOS)
    return encode_png(_joined(kept, changed, opening), icc_profile(kept))


def validate_markup(picture: object, size: Size, *, fit: bool = False) -> bytes:
    """
    Check a picture that is to be laid over another one to mark what to change.

    Args:
        picture: A path, bytes, an open file, a PIL image or a SavedImage.
        size: Width and height of the picture that it is laid over, in pixels.
        fit: Whether to rescale it.

    Returns:
        It as a PNG with an alpha channel.

    Raises:
        InvalidImageError: It cannot be read, has another size, draws nothing, or hides everything.
    """
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    overlay = decode_upright(*read_image_input(picture, "The markup")).convert("RGBA")
    check_size("markup", overlay.size, size, fit=fit)
    lowest, highest = overlay.getchannel("A").getextrema()
    if lowest == _OPAQUE:
        raise InvalidImageError(
            "The markup has no transparent pixel and would hide the picture. Draw on a transparent "
            'one: Image.new("RGBA", size, (0, 0, 0, 0)).'
        )
    if highest == 0:
        raise InvalidImageError(
            "The markup draws nothing: all of it is transparent. Draw on it first."
        )
    if overlay.size != size:
        overlay = resize(overlay, size, Image.Resampling.LANCZOS)
    return encode_png(overlay)


def _joined(kept: Image.Image, changed: Image.Image, opening: Image.Image) -> Image.Image:
    from PIL import Image  # noqa: PLC0415 - slow to import, and hardly ever needed

    joined = Image.composite(changed, kept, opening)
    if has_alpha(joined):
        # The colour that a transparent pixel has by chance must not shine into the soft edge.
        weighed = Image.composite(changed.convert("RGBa"), kept.convert("RGBa"), opening)
        joined.paste(weighed.convert("RGBA"), mask=apply_lut(opening, _BETWEEN))
    return joined
