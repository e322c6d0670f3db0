"""
The provenance checks: a sketch's own mark in the metadata stands for signed metadata, and is lost
like it when an image is encoded anew. No sketch has a watermark.

Reference: openai 3.57, `types/content_provenance_check.py`
"""

import io

from PIL import Image

from imagesession._fake_openai.errors import RefusalError
from imagesession._fake_openai.files_endpoint import read_form
from imagesession._fake_openai.http import FakeRequest, FakeResponse, Json, json_response
from imagesession._fake_openai.sketch import SOFTWARE

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_LARGEST = 50 * 1024 * 1024


def check_provenance(call: FakeRequest, now: float) -> FakeResponse:
    if call.method != "POST" or call.path.count("/") > 1:
        raise RefusalError("no_such_url", method=call.method, path=call.path)
    file = next((field.content for field in read_form(call) if field.name == "file"), None)
    if file is None:
        raise RefusalError("missing_parameter", "file")
    if len(file) > _LARGEST:
        raise RefusalError("provenance_too_large")
    try:
        with Image.open(io.BytesIO(file), formats=_FORMATS):
            pass
    except (OSError, ValueError, SyntaxError):
        raise RefusalError("unreadable_image", "file", number=1) from None
    marked = SOFTWARE.encode() in file
    unknown: Json = {"generated_at": None, "model": None}
    c2pa = {
        "type": "c2pa",
        "outcome": "detected" if marked else "not_detected",
        "validation_state": "valid" if marked else "not_present",
        "issuer": SOFTWARE if marked else None,
        **unknown,
    }
    synthid = {"type": "synthid", "outcome": "not_detected", **unknown}
    return json_response(
        {
            "object": "content_provenance_check",
            "created_at": int(now),
            "results": [c2pa, synthid],
        }
    )
