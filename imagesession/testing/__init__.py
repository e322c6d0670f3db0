"""
What your own tests need: the offline provider, in-process or on a port, fixtures for pytest, and
tiny pictures.

With this package installed, pytest has the fixtures `offline_provider`, `offline_studio`,
`async_offline_studio` and `openai_images_server`; see `imagesession.testing.plugin`.

```python
def test_my_shop(offline_studio, offline_provider):
    offline_provider.reply_next(image=tiny_image(), text="Here it is.")
    my_shop.draw_catalogue(offline_studio)
    offline_provider.assert_drawn(1, prompt="teapot", quality="high")
```

Without pytest, a provider answers under the real client:

```python
provider = OfflineProvider()
client = openai.OpenAI(
    api_key="offline", http_client=httpx2.Client(transport=OfflineTransport(provider))
)
provider.fail_next(status=429, headers={"retry-after": "0"})
```

A provider can be made to fail by chance, every time in the same way: `provider.misbehave({"429":
0.1, "reset before": 0.01}, seed=3)`. Each of `provider.calls` tells by `fault` what it met. `KINDS`
of trouble are 429, 429 hinted, quota, 500, 503, 529, reset before, reset within, reset after, hang,
slow, cut, cut after picture, truncated, garbled, html, moderation, moderation item, unknown
previous and late; `OfflineProvider.misbehave` takes them by these names.

It can also play services that do less: `provider.refuse("background")` refuses every request that
uses a feature until `provider.accept("background")`, `provider.cut_stream_after(
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
    from imagesession._offline import (
        AsyncOfflineTransport,
        OfflineProvider,
        OfflineTransport,
        serve,
    )
    from imagesession._offline.exchange import Answer, Call, Pause, Reset
    from imagesession._offline.faults import Fault
    from imagesession._offline.heard import Heard
    from imagesession._offline.misbehaving import KINDS
    from imagesession.testing.pictures import tiny_image, tiny_mask
    from imagesession.testing.servers import ImagesServer

__all__ = [
    "KINDS",
    "Answer",
    "AsyncOfflineTransport",
    "Call",
    "Fault",
    "Heard",
    "ImagesServer",
    "OfflineProvider",
    "OfflineTransport",
    "Pause",
    "Reset",
    "serve",
    "tiny_image",
    "tiny_mask",
]

# Loaded when they are asked for first: pytest loads this package in every project that has it.
_ROOMS = {
    "KINDS": "_offline.misbehaving",
    "Answer": "_offline.exchange",
    "AsyncOfflineTransport": "_offline",
    "Call": "_offline.exchange",
    "Fault": "_offline.faults",
    "Heard": "_offline.heard",
    "ImagesServer": "testing.servers",
    "OfflineProvider": "_offline",
    "OfflineTransport": "_offline",
    "Pause": "_offline.exchange",
    "Reset": "_offline.exchange",
    "serve": "_offline",
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
