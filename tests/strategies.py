"""
Hypothesis strategies for the classes of `_domain`.
"""

from __future__ import annotations

import datetime as dt
from typing import get_args

from hypothesis import strategies as st

from imagesession._domain.cost import Cost
from imagesession._domain.marks import UNMARKED, Mark
from imagesession._domain.model_catalog import CompletionWindow
from imagesession._domain.options import GenerateOptions, ServiceTier
from imagesession._domain.sessions import SessionRecord
from imagesession._domain.token_counts import Usage
from imagesession._domain.tree import HeadMove
from imagesession._domain.turn import (
    Failure,
    ImageRecord,
    ImportOrigin,
    Kind,
    Reference,
    Source,
    Turn,
)

texts = st.text(max_size=40)
ids = st.integers(0, 2**60).map(lambda number: f"{number:026}")
times = st.datetimes(timezones=st.just(dt.UTC))
optional_texts = st.none() | texts
tokens = st.none() | st.dictionaries(st.text(max_size=8), st.integers(0, 10**6), max_size=3)

options = st.builds(
    GenerateOptions,
    model=st.sampled_from(["auto", "gpt-6-luna", "my-model"]),
    size=st.sampled_from(["auto", "1024x1024", "1536x864"]),
    quality=st.sampled_from(["auto", "low", "max"]),
    output_format=st.sampled_from(["png", "gif", "svg"]),
    output_compression=st.none() | st.integers(0, 100),
    service_tier=st.sampled_from(get_args(ServiceTier)),
    compact_threshold=st.none() | st.integers(20_000, 10_000_000),
    frames=st.none() | st.integers(2, 16),
)
images = st.builds(
    ImageRecord,
    id=ids,
    file=ids.map(lambda name: f"general/{name}.png"),
    format=st.sampled_from(["png", "jpeg", "webp", "gif", "svg"]),
    width=st.integers(0, 5000),
    height=st.integers(0, 5000),
    bytes=st.integers(0, 10**9),
    sha256=texts,
    revised_prompt=optional_texts,
    call_id=optional_texts,
    received_sha256=optional_texts,
    source=st.sampled_from(get_args(Source)),
)
amounts = st.none() | st.floats(0, 1000)
costs = st.builds(
    Cost,
    mainline=amounts,
    image=amounts,
    prices=st.dates(),
    part=st.floats(0, 1000),
    context=st.floats(0, 1000),
    context_tokens=st.integers(0, 10**9),
    unknown=st.lists(texts, max_size=2).map(tuple),
)
references = st.lists(
    st.builds(Reference, sha256=texts, image_id=optional_texts, role=texts), max_size=3
).map(tuple)
owners = st.sampled_from([None, "alice", "Ærø 🐟"])
turns = st.builds(
    Turn,
    id=ids,
    session=st.none() | ids,
    owner=owners,
    parent=st.none() | ids,
    branch=texts,
    depth=st.integers(1, 1000),
    kind=st.sampled_from(get_args(Kind)),
    label=texts,
    status=st.sampled_from(["pending", "completed", "failed", "refused"]),
    prompt=texts,
    parameters=st.dictionaries(texts, texts | st.integers(), max_size=2),
    options=options,
    references=references,
    parents=st.lists(ids, max_size=2).map(tuple),
    masked=st.booleans(),
    mask_coverage=st.none() | st.floats(0, 1),
    images=st.lists(images, max_size=3).map(tuple),
    text=texts,
    context=st.sampled_from(["fresh", "continued", "rebuilt"]),
    model=optional_texts,
    provider=texts,
    response_id=optional_texts,
    request_id=optional_texts,
    usage=st.builds(Usage, mainline=tokens, image=tokens, tier=optional_texts),
    within=st.sampled_from(get_args(CompletionWindow)),
    cost=st.none() | costs,
    reserved=amounts,
    idempotency_key=optional_texts,
    origin=st.none() | st.builds(ImportOrigin, image_id=optional_texts, file=optional_texts),
    failure=st.none() | st.builds(Failure, error=texts, message=texts),
    started=times,
    finished=st.none() | times,
    deleted=st.none() | times,
    erased_images=st.integers(0, 9),
    version=texts,
)
moves = st.builds(HeadMove, id=ids, head=st.none() | ids, redo=st.lists(ids, max_size=3).map(tuple))
sessions = st.builds(
    SessionRecord,
    id=ids,
    owner=owners,
    description=texts,
    name=optional_texts,
    choices=st.dictionaries(st.sampled_from(["quality"]), st.sampled_from(["low", "high"])),
    references=references,
    created=times,
    closed=st.none() | times,
    moves=st.dictionaries(texts, moves, max_size=3),
    version=texts,
)
marks = st.dictionaries(
    ids,
    st.builds(
        Mark,
        deleted=st.none() | times,
        erased=st.booleans(),
        starred=st.booleans(),
        tags=st.lists(texts, max_size=3).map(tuple),
    ).filter(lambda mark: mark != UNMARKED),
    max_size=3,
)
