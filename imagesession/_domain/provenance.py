"""
What a provider finds in an image about where it is from.
"""

from __future__ import annotations

import datetime as dt

import attrs

from .readable import readable


@attrs.frozen(kw_only=True)
class ProvenanceSignal:
    """
    One kind of signal that an image was checked for.

    Attributes:
        type: "c2pa" for signed metadata, "synthid" for a watermark in the pixels.
        detected: Whether it was found. If not, the image may still be the provider's: metadata is
            lost when an image is encoded anew, and a watermark when it is changed much.
        model: The model that it names.
        issuer: Who signed the metadata.
        validation: Of metadata: "trusted", "valid", "invalid" or "not_present".
        generated_at: When the image was made, as RFC 3339 text.
    """

    type: str
    detected: bool
    model: str | None = None
    issuer: str | None = None
    validation: str | None = None
    generated_at: str | None = None


@readable
@attrs.frozen(kw_only=True)
class Provenance:
    """
    The result of a provenance check.

    Attributes:
        signals: What the image was checked for.
        checked: When it was checked.
    """

    signals: tuple[ProvenanceSignal, ...]
    checked: dt.datetime

    @property
    def detected(self) -> bool:
        """
        Whether any signal was found.
        """
        return any(signal.detected for signal in self.signals)

    def __str__(self) -> str:
        found = [signal.type for signal in self.signals if signal.detected]
        return f"found: {', '.join(found)}" if found else "no signal found"


for _public in (Provenance, ProvenanceSignal):
    _public.__module__ = "imagesession"
