"""
What a studio does with many pictures, and what it tells of itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from imagesession._asking import PARALLEL, Asking, Framing
from imagesession._drive.desk import AsyncDesk, Desk
from imagesession._drive.many import Pace
from imagesession._images import AnyDesk, AsyncSavedImage, SavedImage, optional_source, sources
from imagesession._model.catalogue import Kind as ModelKind
from imagesession._model.catalogue import Model
from imagesession._model.checkup import Checkup
from imagesession._model.jobs import Job
from imagesession._model.options import OptionKeywords
from imagesession._model.reports import Grouping, Pending, Recovery, Spending, StudioStats
from imagesession._model.results import Results
from imagesession._model.turns import Turn
from imagesession._plan import flows, jobs, recovery, reports
from imagesession._plan.queries import spending_query
from imagesession._plan.recovery import Settled
from imagesession._plan.sessions import Place
from imagesession._plan.steps import Flow
from imagesession._plan.wishes import Wish
from imagesession._purposes import AsyncPurposes, Purposes
from imagesession._show.progress import bar
from imagesession._signatures import takes_options

if TYPE_CHECKING:
    from typing import Unpack

    from imagesession._model.progress import OnProgress

Image = TypeVar("Image")
Jobs = Mapping[str, str | Job] | Iterable[str | Job]
"""What `map` makes: prompts or jobs, with or without names."""


class Managing(Asking[AnyDesk]):
    """
    What both twins plan alike.
    """

    def _todo(self, named: jobs.Named, options: Mapping[str, Any]) -> list[Flow[Turn]]:
        """
        Plan many things. What is wrong with one of them is told in its place.

        Raises:
            OptionError: What all of them ask for is wrong.
        """
        self._terms.options.updated(options)
        return [self._job(job, key, options) for key, job in named]

    def _job(self, job: Job, key: str | None, options: Mapping[str, Any]) -> Flow[Turn]:
        """
        Plan one of many, and make it.
        """
        wish, place = yield from self._wish(job, key, options)
        return (yield from flows.generate(wish, self._terms, place))

    def _wish(
        self, job: Job, key: str | None, options: Mapping[str, Any]
    ) -> Flow[tuple[Wish, Place | None]]:
        """
        Put into a wish one of many: an edit, a preset's picture, or one for a prompt.
        """
        chosen = {**options, **job.options}
        if job.preset is not None:
            framing = Framing(
                preset=job.preset,
                description=job.prompt,
                choices=job.choices,
                references=sources(job.reference),
                options=chosen,
            )
            wish, place = yield from self._framed(framing)
        else:
            place = yield from self._here()
            wish = Wish(
                prompt=job.prompt,
                choices=chosen,
                references=sources(job.reference),
                edits=job.image is not None,
                image=optional_source(job.image),
                mask=optional_source(job.mask),
                kind="batch" if job.image is None else "edit",
            )
        return attrs.evolve(wish, intent_id=None if key is None else jobs.intent_of(key)), place


class Manages(Managing[Desk], Purposes):
    """
    Does many things, and tells of itself.
    """

    @takes_options
    def map(
        self,
        jobs_: Jobs,
        /,
        *,
        concurrency: int = PARALLEL,
        images_per_minute: float | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[SavedImage]:
        """
        Make many pictures: several at a time, in order, each with its own end.

        Args:
            jobs_: Prompts or `Job`s. Given as a mapping, its keys name them: run again with the
                same names, only what is missing is made, and the rest is given from the library.
            concurrency: How many are under way at once, 1 to 64.
            images_per_minute: How many may be started a minute; what your account's limit says.
                What is given from the library does not count.
            progress: Whether to show a bar on standard error; left out, one is shown in a
                terminal or notebook.
            on_progress: As in `generate`; its `position` tells which picture it is about.
            **options: What every job asks for unless it says otherwise; see `Options`.

        Returns:
            The pictures in the order of the jobs; where one failed, its error stands in its
            place, and the others go on.

        Raises:
            CallError: An argument is not of its form; nothing was sent.
        """
        named = jobs.named(jobs_)
        limit, pace = jobs.check_pace(concurrency, images_per_minute)
        todo = self._todo(named, options)
        free = self._desk.do(jobs.made(named)) if pace else ()
        with bar(len(todo), wanted=progress) as report:
            found = self._desk.gather(
                todo,
                concurrency=limit,
                pace=Pace.per_minute(pace),
                free=free,
                report=report,
                on_progress=on_progress,
            )
        return self._results(found, jobs.keys(named))

    def spending(
        self,
        *,
        by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: str | None = None,
    ) -> Spending:
        """
        Tell what was spent on this library, from the usage that its providers reported.

        Args:
            by: What to group it by: "day" (UTC), "session", "model", "kind" or "provider".
            since: Only from this day on.
            until: Only up to this day.
            session: Only for the session of this id.

        Raises:
            CallError: An argument is not of its form.
        """
        query = spending_query(by, since, until, session)
        return self._desk.do(reports.spending(query, self._desk.provider))

    def recover(self, *, wait: float = 30.0) -> Recovery[SavedImage]:
        """
        Settle what was asked and not settled: by programs that were stopped, or calls that gave up.

        Nothing is sent again: pictures are looked up by the provider's ids, which is free. What
        running programs are at is left to them. A studio does this by itself, without waiting,
        before it first asks for a picture.

        Args:
            wait: Seconds to wait, in all, for pictures that are not finished yet.

        Raises:
            AccessError: There is no key, or it may not do this.
        """
        found = self._desk.do(recovery.reconcile_all(self._terms, jobs.check_wait(wait)))
        return _recovered(found, self._last)

    def pending(self) -> tuple[Pending, ...]:
        """
        Return the requests that are under way in any program, or were left without an end.
        """
        return self._desk.ask(lambda store: store.pending())

    def cancel(self, turn_id: str) -> Recovery[SavedImage]:
        """
        Have the provider stop a request that is under way, in whichever program.

        Args:
            turn_id: The turn's id: `pending()` tells it, and `OutcomeUnknownError.turn_id`.

        Returns:
            What became of it: a picture, if it was finished already; failed, if it was stopped;
            left, if a running program is at it, which will be told.

        Raises:
            NotFoundError: No such request is under way.
            UnavailableError: The provider cannot be reached.
        """
        found = self._desk.do(recovery.cancel(turn_id, self._terms))
        return _recovered((found,), self._last)

    def stats(self) -> StudioStats:
        """
        Tell how the library stands, in numbers.
        """
        root = str(self._desk.library.layout.root)
        return self._desk.do(reports.stats(self._terms, self._desk.provider, root))

    def models(self, kind: ModelKind | None = None, *, live: bool = False) -> tuple[Model, ...]:
        """
        Return the models that can be used today: what they take, when they end, what they cost.

        Args:
            kind: Only those that draw ("image") or lead the conversation ("mainline").
            live: Whether to ask the provider which of them it has; free, and needs the network.

        Raises:
            ImageSessionError: The provider was asked and did not answer.
        """
        return self._desk.do(reports.models(self._terms, kind, live=live))

    def doctor(self, *, verify: bool = False, online: bool = False) -> Checkup:
        """
        Look whether everything is as it should be: the library, the key and the models.
        Nothing is changed and nothing is paid for.

        Args:
            verify: Whether to read every picture and compare it with its record, which takes a
                second for every gigabyte or so.
            online: Whether to ask the provider for its models; free, and needs the network.

        Returns:
            What was found, and what to do about it; print it to read it.
        """
        from imagesession._plan import checkup  # noqa: PLC0415 - hardly ever needed

        flow = checkup.look(self._terms, self._desk.provider, verify=verify, online=online)
        return self._desk.do(flow)


class AsyncManages(Managing[AsyncDesk], AsyncPurposes):
    """
    Same as `Manages`, but awaits.
    """

    @takes_options
    async def map(
        self,
        jobs_: Jobs,
        /,
        *,
        concurrency: int = PARALLEL,
        images_per_minute: float | None = None,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Unpack[OptionKeywords],
    ) -> Results[AsyncSavedImage]:
        """
        Same as `Studio.map`, but awaits.
        """
        named = jobs.named(jobs_)
        limit, pace = jobs.check_pace(concurrency, images_per_minute)
        todo = self._todo(named, options)
        free = await self._desk.do(jobs.made(named)) if pace else ()
        with bar(len(todo), wanted=progress) as report:
            found = await self._desk.gather(
                todo,
                concurrency=limit,
                pace=Pace.per_minute(pace),
                free=free,
                report=report,
                on_progress=on_progress,
            )
        return self._results(found, jobs.keys(named))

    async def spending(
        self,
        *,
        by: Grouping = "day",
        since: dt.date | str | None = None,
        until: dt.date | str | None = None,
        session: str | None = None,
    ) -> Spending:
        """
        Same as `Studio.spending`, but awaits.
        """
        query = spending_query(by, since, until, session)
        return await self._desk.do(reports.spending(query, self._desk.provider))

    async def recover(self, *, wait: float = 30.0) -> Recovery[AsyncSavedImage]:
        """
        Same as `Studio.recover`, but awaits.
        """
        found = await self._desk.do(recovery.reconcile_all(self._terms, jobs.check_wait(wait)))
        return _recovered(found, self._last)

    async def pending(self) -> tuple[Pending, ...]:
        """
        Same as `Studio.pending`, but awaits.
        """
        return await self._desk.ask(lambda store: store.pending())

    async def cancel(self, turn_id: str) -> Recovery[AsyncSavedImage]:
        """
        Same as `Studio.cancel`, but awaits.
        """
        found = await self._desk.do(recovery.cancel(turn_id, self._terms))
        return _recovered((found,), self._last)

    async def stats(self) -> StudioStats:
        """
        Same as `Studio.stats`, but awaits.
        """
        root = str(self._desk.library.layout.root)
        return await self._desk.do(reports.stats(self._terms, self._desk.provider, root))

    async def models(
        self, kind: ModelKind | None = None, *, live: bool = False
    ) -> tuple[Model, ...]:
        """
        Same as `Studio.models`, but awaits.
        """
        return await self._desk.do(reports.models(self._terms, kind, live=live))

    async def doctor(self, *, verify: bool = False, online: bool = False) -> Checkup:
        """
        Same as `Studio.doctor`, but awaits.
        """
        from imagesession._plan import checkup  # noqa: PLC0415 - hardly ever needed

        flow = checkup.look(self._terms, self._desk.provider, verify=verify, online=online)
        return await self._desk.do(flow)


# --- what both share ---------------------------------------------------------------------------


def _recovered(found: tuple[Settled, ...], show: Callable[[Turn], Image]) -> Recovery[Image]:
    """
    Tell what became of requests, with their pictures as they are shown.
    """
    return Recovery(
        images=tuple(show(one.turn) for one in found if one.drew),
        failed=tuple(one.turn for one in found if one.failed),
        left={one.turn.batch or one.turn.id: one.left for one in found if one.left},
    )
