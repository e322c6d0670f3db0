"""
Restore the pixels that a mask protects, and validate markup drawn over an image.
"""

from __future__ import annotations

from imagesession.errors import InvalidImageError

from . import pillow
from .color import encode_png, has_alpha, icc_profile, match_profile
from .decode import decode_upright
from .inputs import read_image_input
from .mask_ops import Size, check_size
from .pillow import Picture, apply_lut, resize

# Selects pixels that may change in part; those at 0 and 255 are exact already.
_PARTIAL = [0, *[255] * 254, 0]
_OPAQUE = 255


def restore_unmasked(original: bytes, reply: bytes, alpha: Picture) -> bytes:
    """
    Restore the pixels that a mask, as drawn by `Mask.alpha`, protects; models often change them.

    Returns:
        A PNG with the original's size and colour profile. Where the mask is 0, its pixels equal
        the original's exactly, in 8 bits a channel; where it is 255, they are the reply's; between,
        they are blended. A reply of another size is rescaled.
    """
    before = decode_upright(original, "The image that was sent")
    after = decode_upright(reply, "The image that came back")
    check_size("mask", alpha.size, before.size, resize_mask=False)
    mode = "RGBA" if has_alpha(before) or has_alpha(after) else "RGB"
    base = before.convert(mode)
    # A reply in sRGB, pasted as it is into a photo with a wide profile, would look more vivid.
    changed = match_profile(after.convert(mode), icc_profile(base))
    if changed.size != base.size:
        changed = resize(changed, base.size, pillow.Image.Resampling.LANCZOS)
    return encode_png(_blend(base, changed, alpha), icc_profile(base))


def validate_markup(picture: object, size: Size, *, resize_mask: bool = False) -> bytes:
    """
    Return an image that is laid over another one, to mark what to change, as a PNG with an alpha
    channel. It must have the other one's size, unless it is resized, and draw on a part of it.
    """
    overlay = decode_upright(*read_image_input(picture, "The markup")).convert("RGBA")
    check_size("markup", overlay.size, size, resize_mask=resize_mask)
    lowest, highest = overlay.getchannel("A").getextrema()
    if lowest == _OPAQUE:
        raise InvalidImageError(
            "The markup has no transparent pixel and would hide the image. Draw on a transparent "
            'one: Image.new("RGBA", size, (0, 0, 0, 0)).'
        )
    if highest == 0:
        raise InvalidImageError(
            "The markup draws nothing: all of it is transparent. Draw on it first."
        )
    if overlay.size != size:
        overlay = resize(overlay, size, pillow.Image.Resampling.LANCZOS)
    return encode_png(overlay)


def _blend(base: Picture, changed: Picture, alpha: Picture) -> Picture:
    blended = pillow.Image.composite(changed, base, alpha)
    if has_alpha(blended):
        # The arbitrary colour of a transparent pixel must not bleed into the soft edge.
        premultiplied = pillow.Image.composite(changed.convert("RGBa"), base.convert("RGBa"), alpha)
        blended.paste(premultiplied.convert("RGBA"), mask=apply_lut(alpha, _PARTIAL))
    return blended
