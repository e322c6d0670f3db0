"""
Watch a flow being carried out: tell how far it is, and write what happened into the log.

Nothing is decided here, and nothing that goes wrong here ends what is watched.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import attrs

from imagesession._model.progress import OnProgress, Progress, Stage
from imagesession._model.turns import Turn
from imagesession._plan.lifting import parse
from imagesession._plan.replies import is_success
from imagesession._plan.steps import AskProvider, Emit, Hear, Listen, Now, OnDisk, Send, Step, Wait
from imagesession._plan.store import Store
from imagesession._plan.wire import NoReplyError, Reply, Request
from imagesession.errors import ImageSessionError

from .listening import BEAT, Listener, beating, checked, overhear

log = logging.getLogger("imagesession")
# Replies that are larger carry pictures, and are finished.
_LARGEST = 65_536
_EVENT = re.compile(rb'"type"\s*:\s*"([a-z_.]+)"')
_EVENT_STANDS_WITHIN = 200
_DRAWS = b"response.image_generation_call."
_PASSING = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
# The first AskProvider loads openai, which takes most of a second.
_WAITING = (AskProvider, Send, Listen, Hear, Wait)


def watches(on_progress: OnProgress, total: int) -> Iterator[Watch]:
    """
    Yield what watches each of so many flows.

    Raises:
        CallError: It cannot be called, or has to be awaited.
    """
    listener = Listener(checked(on_progress), total)
    return (Watch(listener=listener, position=position) for position in range(total))


def _at_once(work: Callable[[], None]) -> None:
    work()


@attrs.define(eq=False)
class Watch:
    """
    Sees every step of a flow, and what came of it.

    Attributes:
        listener: Who is told; None if only the log is written.
        position: Which of the listener's pictures it is about.
    """

    listener: Listener | None = None
    position: int = 0
    _start: float = attrs.field(factory=time.monotonic, init=False)
    _stage: Stage = attrs.field(default="preparing", init=False)
    _message: str = attrs.field(default="", init=False)
    _told: float = attrs.field(default=0.0, init=False)
    _partials: int = attrs.field(default=0, init=False)
    _turn: Turn | None = attrs.field(default=None, init=False)
    _work: Stage = attrs.field(default="drawing", init=False)
    _sent: float = attrs.field(default=0.0, init=False)
    # Whether the provider is at it, whether its answer is the picture, why it turned it away.
    _taken: bool = attrs.field(default=False, init=False)
    _blocks: bool = attrs.field(default=False, init=False)
    _refused: str = attrs.field(default="", init=False)
    _busy: bool = attrs.field(default=False, init=False)
    _soon: Callable[[Callable[[], None]], object] = attrs.field(default=_at_once, init=False)

    # --- what drivers call ----------------------------------------------------------------------

    def overhear(self, store: Store) -> Store:
        """
        Begin to watch; return the library, which is listened to from now on.
        """
        self._start = time.monotonic()
        self._tell()
        return overhear(store, self)

    def over(self, step: Step[Any], do: Callable[[], object]) -> object:
        """
        Watch a step; while it waits for the provider, tell every now and then that it goes on.
        """
        self._begins(step)
        waits = self.listener is not None and isinstance(step, _WAITING)
        try:
            answer = beating(do, self._left, self._beat) if waits else do()
        except (NoReplyError, ImageSessionError) as error:
            self._ends(step, error)
            raise
        self._ends(step, answer)
        return answer

    async def over_async(self, step: Step[Any], do: Callable[[], Awaitable[object]]) -> object:
        """
        Same as `over`, but awaits; `beat_along` tells that it goes on.
        """
        self._begins(step)
        self._busy = True
        try:
            answer = await do()
        except (NoReplyError, ImageSessionError) as error:
            self._ends(step, error)
            raise
        finally:
            self._busy = False
        self._ends(step, answer)
        return answer

    def beat_along(self) -> Callable[[], object]:
        """
        Tell every now and then that a step goes on, until what is returned is called.
        """
        self._soon = asyncio.get_running_loop().call_soon_threadsafe
        if self.listener is None:
            return lambda: None
        return asyncio.ensure_future(self._beats()).cancel

    async def _beats(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            if self._busy:
                self._beat()

    def partial_came(self) -> None:
        """
        Tell that an unfinished picture came.
        """
        self._partials += 1
        log.debug("%s: partial image %d", self._name, self._partials)
        self._move("partial", again=True)

    def ended(self, error: ImageSessionError | None) -> None:
        """
        Tell how it ended.
        """
        if error is None:
            self._move("done")
        else:
            self._move("failed", str(error))

    # --- what steps say -------------------------------------------------------------------------

    def _begins(self, step: Step[Any]) -> None:
        match step:
            case Send(request=request, paid=True) | Listen(request=request):
                self._sends(request)
            case Send(request=request) if request.method == "POST" and not self._taken:
                self._move("sending")
            case Wait(seconds=seconds) if seconds > 0:
                self._waits(seconds)
            case _:
                pass

    def _ends(self, step: Step[Any], answer: object) -> None:
        match step:
            case Send(request=request, paid=True) | Listen(request=request):
                self._takes(answer)
            case Send(request=request):
                self._looks(request, answer)
            case Hear() if isinstance(answer, bytes):
                self._hears(answer)
            case _:
                pass
        if log.isEnabledFor(logging.DEBUG) and not isinstance(step, (Now, Hear, Emit)):
            log.debug("%s: %s: %s", self._name, _told_step(step), _told_answer(answer))

    def _sends(self, request: Request) -> None:
        body = request.body or {}
        draws = "tools" in body or request.path.startswith("/images")
        self._work = "drawing" if draws else "looking"
        self._blocks = not (body.get("background") or body.get("stream"))
        self._taken, self._refused, self._sent = False, "", time.monotonic()
        log.info("%s: sent (%s %s)", self._name, request.method, request.path)
        self._move("sending")

    def _takes(self, answer: object) -> None:
        self._refused = _trouble(answer)
        self._taken = not self._refused or (isinstance(answer, NoReplyError) and answer.sent)
        self._reads(answer)

    def _looks(self, request: Request, answer: object) -> None:
        """
        See what came of a request that is not paid for: a look at what is made, or a preparation.
        """
        if request.method == "GET" and self._taken:
            self._refused = _trouble(answer)
            self._reads(answer)
        elif request.method == "POST":
            # What a provider has not got is done without, and not asked for again.
            passing = not isinstance(answer, Reply) or answer.status in _PASSING
            self._refused = _trouble(answer) if passing else ""

    def _reads(self, answer: object) -> None:
        """
        Read from a reply that brings no picture yet what the provider is at.
        """
        if self.listener is None or not isinstance(answer, Reply) or not is_success(answer):
            return
        if len(answer.body) > _LARGEST:
            return
        try:
            response = parse(answer.body)
        except ValueError:
            return
        if isinstance(response, dict):
            self._is_at(cast("dict[str, object]", response).get("status"))

    def _is_at(self, status: object) -> None:
        if status == "queued":
            self._move("waiting", "the provider has queued it")
        elif status == "in_progress":
            self._move(self._work)

    def _hears(self, event: bytes) -> None:
        found = _EVENT.search(event, 0, _EVENT_STANDS_WITHIN)
        name = found[1] if found else b""
        if name == b"response.queued":
            self._is_at("queued")
        elif name == b"response.in_progress" or (
            name.startswith(_DRAWS) and not name.endswith(b"partial_image")
        ):
            self._is_at("in_progress")

    def _waits(self, seconds: float) -> None:
        if self._refused:
            log.warning("%s: %s; asked again in %.1f s", self._name, self._refused, seconds)
        if not self._taken:
            why = f"{self._refused}; " if self._refused else ""
            self._move("waiting", f"{why}asked in {seconds:.1f} s")

    # --- what the library hears -----------------------------------------------------------------

    def heard(self, verb: str, args: tuple[Any, ...]) -> None:
        """
        Take note of what the library is about to do.
        """
        if verb == "intend":
            self._turn, self._taken = args[0], False
        elif verb == "commit" and self._turn is not None and args[0].id == self._turn.id:
            self._soon(functools.partial(self._move, "saving"))

    def happened(self, verb: str, args: tuple[Any, ...], result: object) -> None:
        """
        Take note of what the library has done.
        """
        if verb == "note":
            seconds = time.monotonic() - self._sent
            log.info("turn %s: accepted as %s after %.1f s", args[0].id, args[1], seconds)
        elif verb == "commit" and isinstance(result, Turn):
            self._kept(result)
        elif verb == "cool_down":
            log.warning("The provider wants to be left alone for %.1f s", args[1])
        elif verb == "cooldown" and cast("float", result) > 0:
            log.warning("The provider wants to be left alone for another %.1f s", result)

    def _kept(self, turn: Turn) -> None:
        pictures = ", ".join(image.id for image in turn.images) or "no picture"
        log.info(
            "turn %s: %s after %.1f s: %s; cost: %s",
            turn.id, turn.status, time.monotonic() - self._start, pictures, turn.cost,
        )  # fmt: skip

    # --- telling --------------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return f"turn {self._turn.id}" if self._turn else "no turn yet"

    def _move(self, stage: Stage, message: str = "", *, again: bool = False) -> None:
        if again or (stage, message) != (self._stage, self._message):
            self._stage, self._message = stage, message
            self._tell()

    def _left(self) -> float:
        return self._told + BEAT - time.monotonic()

    def _beat(self) -> None:
        if self._stage == "partial" or (self._stage == "sending" and self._blocks):
            self._stage = self._work
        self._tell()

    def _tell(self) -> None:
        if self.listener is None:
            return
        self._told = time.monotonic()
        progress = Progress(
            stage=self._stage,
            elapsed=self._told - self._start,
            partials=self._partials,
            message=self._message,
            turn_id=self._turn.id if self._turn else None,
            position=self.position,
            total=self.listener.total,
        )
        self.listener.tell(progress)


def _trouble(answer: object) -> str:
    """
    Say in a few words what kept a request from being answered; empty if nothing did.
    """
    if isinstance(answer, NoReplyError):
        return f"there was no answer ({answer.reason})"
    if isinstance(answer, Reply) and not is_success(answer):
        return f"the provider answered with HTTP {answer.status}"
    return ""


def _told_step(step: Step[Any]) -> str:
    match step:
        case Send(request=request) | Listen(request=request):
            return f"{type(step).__name__} {request.method} {request.path}"
        case OnDisk(do=do):
            return f"OnDisk {getattr(do, '__qualname__', '')}"
        case _:
            return repr(step)


def _told_answer(answer: object) -> str:
    if isinstance(answer, Reply):
        return f"HTTP {answer.status}, {len(answer.body)} bytes"
    return _trouble(answer) or type(answer).__name__
