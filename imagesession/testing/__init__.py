"""
Tools for your own tests: the fake provider, in-process or on a port, pytest fixtures, and tiny
images.

This package is a pytest plugin with the fixtures `offline_provider`, `offline_studio`,
`async_offline_studio` and `openai_images_server`; see `imagesession.testing.plugin`.

```python
def test_my_shop(offline_studio, offline_provider):
    offline_provider.respond_next(image=tiny_image(), text="Here it is.")
    my_shop.draw_catalogue(offline_studio)
    offline_provider.assert_generated(1, prompt="teapot", quality="high")
```

Without pytest, the fake provider answers requests of the real client:

```python
provider = FakeOpenAI()
client = openai.OpenAI(
    api_key="offline", http_client=httpx2.Client(transport=FakeTransport(provider))
)
provider.fail_next(status=429, headers={"retry-after": "0"})
```

The fake provider can fail at random, but reproducibly:
`provider.inject_faults({"429": 0.1, "reset-before-response": 0.01}, seed=3)`. The attribute `fault`
of each of `provider.requests` names the fault that was injected. `FAULT_KINDS` are 429,
429-retry-after, quota, 500, 503, 529, reset-before-response, reset-within-response,
reset-after-response, no-response, slow, cut, cut-after-image, truncated, garbled, html, moderation,
moderation-item, unknown-previous-response and late.

It can also imitate services with fewer features: `provider.refuse("background")` refuses every
request that uses a feature until `provider.accept("background")`, and
`provider.truncate_stream_after("response.output_item.done")` ends a stream once the image has
arrived. Attributes set which responses carry the image's bytes (`retrieve_includes_image`,
`conversation_items_include_image`, `poor_terminal_event`) and how long a conversation may be
(`context_tokens`).

On a port, for programs of any kind: `python -m imagesession.testing serve --port 8765`, with
`--fault "429=0.1" --fault no-response=0.01 --seed 3` for random faults.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from imagesession._fake_openai import AsyncFakeTransport, FakeOpenAI, FakeTransport
    from imagesession._fake_openai.faults import Fault
    from imagesession._fake_openai.http import ConnectionReset, Delay, FakeRequest, FakeResponse
    from imagesession._fake_openai.random_faults import FAULT_KINDS
    from imagesession._fake_openai.recorder import RecordedRequest
    from imagesession._fake_openai.server import serve
    from imagesession.testing.images import tiny_image, tiny_mask

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


class ImagesServer(NamedTuple):
    """
    The address of the fake provider, and the provider itself: the value of the fixture
    `openai_images_server`.

    Attributes:
        base_url: The base URL for an OpenAI client.
        port: The port on 127.0.0.1.
        api_key: A key that it accepts; it accepts any.
        provider: The provider, to script responses and faults and to assert on requests.
    """

    base_url: str
    port: int
    api_key: str
    provider: FakeOpenAI


# Loaded on first use, because pytest imports this package in every project that has it installed.
_MODULES = {
    "AsyncFakeTransport": "_fake_openai",
    "ConnectionReset": "_fake_openai.http",
    "Delay": "_fake_openai.http",
    "FAULT_KINDS": "_fake_openai.random_faults",
    "FakeOpenAI": "_fake_openai",
    "FakeRequest": "_fake_openai.http",
    "FakeResponse": "_fake_openai.http",
    "FakeTransport": "_fake_openai",
    "Fault": "_fake_openai.faults",
    "RecordedRequest": "_fake_openai.recorder",
    "serve": "_fake_openai.server",
    "tiny_image": "testing.images",
    "tiny_mask": "testing.images",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"imagesession.{_MODULES[name]}")
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return sorted(__all__)
