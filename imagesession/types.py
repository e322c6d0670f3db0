"""
The types of the verbs' arguments, for programs that pass them on and check their own types.

    from imagesession.types import OptionParams, Quality

    def hero(subject: str, **options: Unpack[OptionParams]) -> SavedImage:
        return studio.generate(f"a hero image of {subject}", **options)
"""

from imagesession._api.types import ImageInput, ImageInputs
from imagesession._domain.options import (
    Background,
    InputFidelity,
    OptionParams,
    OutputFormat,
    Quality,
    Size,
)

__all__ = [
    "Background",
    "ImageInput",
    "ImageInputs",
    "InputFidelity",
    "OptionParams",
    "OutputFormat",
    "Quality",
    "Size",
]
