"""
What an image gives is what was made: a file that was changed since is an error, and is told of.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagesession.errors import InvalidImageError
from imagesession.testing import tiny_image


def replaced(path: Path) -> None:
    """
    Put another picture in its place.
    """
    path.write_bytes(tiny_image(colour=(1, 2, 3)))


def altered(path: Path) -> None:
    """
    Change a bit, and neither the size nor the time of the last change.
    """
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def cut(path: Path) -> None:
    """
    Cut its end off.
    """
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("change", [replaced, altered, cut])
def test_changed_file_is_an_error(studio: Any, change: Callable[[Path], None]) -> None:
    """
    Whatever needs an image's bytes raises a typed error once its file was changed, also if it was
    read before, and works again when the file is put back.
    """
    image = studio.generate("a lamp", quality="low")
    whole = image.bytes
    change(image.path)
    uses: tuple[Callable[[], object], ...] = (
        lambda: image.bytes, image.open, image.to_base64, image.as_png, image.preview,
        lambda: studio.edit("bluer", image=image),
    )  # fmt: skip
    for use in uses:
        with pytest.raises(InvalidImageError, match="is not what was made"):
            use()
    image.path.write_bytes(whole)
    assert image.bytes == whole


def test_unchanged_file_is_compared_once(studio: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The digest of a file is computed once as long as the file is the same.
    """
    image = studio.generate("a lamp", quality="low")
    whole = image.bytes
    digests: list[bytes] = []
    real = hashlib.sha256

    def counted(data: bytes = b"", **settings: Any) -> Any:
        digests.append(data)
        return real(data, **settings)

    monkeypatch.setattr(hashlib, "sha256", counted)
    assert [image.bytes for _ in range(3)] == [whole] * 3
    assert digests == []
    shutil.copy(image.path, image.path.with_suffix(".copy"))
    image.path.with_suffix(".copy").replace(image.path)
    assert [image.bytes for _ in range(3)] == [whole] * 3
    assert digests == [whole]


def test_image_of_absurd_size_is_a_typed_error(
    studio: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An image with more pixels than Pillow takes is an error of this library, not Pillow's.
    """
    image = studio.generate("a lamp", quality="low")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InvalidImageError, match="cannot be opened with Pillow"):
        image.open()
