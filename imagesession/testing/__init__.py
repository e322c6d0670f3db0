"""
What your own tests need: the offline provider, in-process or on a port, fixtures for pytest, and
tiny pictures.

With this package installed, pytest has the fixtures `offline_provider`, `offline_studio`,
`async_offline_studio` and `openai_images_server`; see `imagesession.testing.plugin`.

```python
def test_my_shop(offline_studio, offline_provider):
    offline_provider.respond_next(image=tiny_image(), text="Here it is.")
    my_shop.draw_catalogue(offline_studio)
    offline_provider.assert_generated(1, prompt="teapot", quality="high")
```

Without pytest, a provider answers under the real client:

```python
provider = FakeOpenAI()
client = openai.OpenAI(
    api_key="offline", http_client=httpx2.Client(transport=FakeTransport(provider))
)
provider.fail_next(status=429, headers={"retry-after": "0"})
```

A provider can be made to fail by chance, every time in the same way:
`provider.inject_faults({"429": 0.1, "reset before": 0.01}, seed=3)`. Each of `provider.requests`
tells by `fault` what it met. `FAULT_KINDS` are 429, 429 hinted, quota, 500, 503, 529, reset before,
reset within, reset after, hang, slow, cut, cut after picture, truncated, garbled, html, moderation,
moderation item, unknown previous and late; `FakeOpenAI.inject_faults` takes them by these names.

It can also play services that do less: `provider.refuse("background")` refuses every request that
uses a feature until `provider.accept("background")`, `provider.truncate_stream_after(
"response.output_item.done")` ends a stream when the picture has come, and attributes say who brings
the picture's bytes (`retrieve_includes_image`, `conversation_items_include_image`,
`poor_terminal_event`) and how long a conversation may be (`context_tokens`).

On a port, for programs of any kind: `python -m imagesession.testing serve --port 8765`, and
`--fault "429=0.1" --fault hang=0.01 --seed 3` for one that fails by chance.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagesession._fake_openai import AsyncFakeTransport, FakeOpenAI, FakeTransport, serve
    from imagesession._fake_openai.faults import Fault
    from imagesession._fake_openai.http import ConnectionReset, Delay, FakeRequest, FakeResponse
    from imagesession._fake_openai.random_faults import FAULT_KINDS
    from imagesession._fake_openai.recorder import RecordedRequest
    from imagesession.testing.pictures import tiny_image, tiny_mask
    from imagesession.testing.servers import ImagesServer

__all__ = [
    "FAULT_KINDS",
    "AsyncFakeTransport",
    "ConnectionReset",
    "Delay",
    "FakeOpenAI",
    "FakeRequest",
    "FakeResponse",
    "FakeTransport",
    "Fault",
    "ImagesServer",
    "RecordedRequest",
    "serve",
    "tiny_image",
    "tiny_mask",
]

# Loaded when they are asked for first: pytest loads this package in every project that has it.
_ROOMS = {
    "AsyncFakeTransport": "_fake_openai",
    "ConnectionReset": "_fake_openai.http",
    "Delay": "_fake_openai.http",
    "FAULT_KINDS": "_fake_openai.random_faults",
    "FakeOpenAI": "_fake_openai",
    "FakeRequest": "_fake_openai.http",
    "FakeResponse": "_fake_openai.http",
    "FakeTransport": "_fake_openai",
    "Fault": "_fake_openai.faults",
    "ImagesServer": "testing.servers",
    "RecordedRequest": "_fake_openai.recorder",
    "serve": "_fake_openai",
    "tiny_image": "testing.pictures",
    "tiny_mask": "testing.pictures",
}


def __getattr__(name: str) -> object:
    try:
        room = _ROOMS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value: object = getattr(importlib.import_module(f"imagesession.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
