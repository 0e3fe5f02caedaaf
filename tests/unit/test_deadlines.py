"""One timer for all connections: nobody is cut off early, nobody is forgotten, and without connections nothing runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from collector.app.deadlines import NEVER, Deadlines, deadlines_of

TICK_SECONDS = 0.01
WAIT_SECONDS_MAX = 10.0


class Connection:
    """Notes when its time was over."""

    def __init__(self) -> None:
        self.due = NEVER
        self.over: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def overdue(self) -> None:
        self.over.set_result(asyncio.get_running_loop().time())


class Failing(Connection):
    def overdue(self) -> None:
        super().overdue()
        raise RuntimeError("this connection cannot be closed")


def run(story: Callable[[Deadlines], Awaitable[None]]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        await asyncio.wait_for(story(Deadlines(loop, TICK_SECONDS)), WAIT_SECONDS_MAX)

    asyncio.run(main())


def test_a_connection_has_all_the_time_it_was_given() -> None:
    async def story(deadlines: Deadlines) -> None:
        begun = asyncio.get_running_loop().time()
        quick, slow = Connection(), Connection()
        for connection, seconds in ((quick, 0.02), (slow, 0.1)):
            deadlines.watch(connection)
            connection.due = deadlines.after(seconds)
        assert await quick.over - begun >= 0.02
        assert not slow.over.done()
        assert await slow.over - begun >= 0.1
        assert (quick.due, slow.due) == (NEVER, NEVER)

    run(story)


def test_a_deadline_may_be_moved_and_a_connection_may_go() -> None:
    async def story(deadlines: Deadlines) -> None:
        moved, gone, last = Connection(), Connection(), Connection()
        for connection, seconds in ((moved, 0.02), (gone, 0.02), (last, 0.1)):
            deadlines.watch(connection)
            connection.due = deadlines.after(seconds)
        moved.due = NEVER
        deadlines.forget(gone)
        await last.over
        assert not moved.over.done()
        assert not gone.over.done()

    run(story)


def test_one_connection_that_fails_does_not_stop_the_timer() -> None:
    async def story(deadlines: Deadlines) -> None:
        failing, other = Failing(), Connection()
        deadlines.watch(failing)
        deadlines.watch(other)
        failing.due, other.due = deadlines.after(0.01), deadlines.after(0.05)
        await failing.over
        await other.over

    run(story)


def test_it_starts_again_after_all_have_gone() -> None:
    async def story(deadlines: Deadlines) -> None:
        for _ in range(3):
            connection = Connection()
            deadlines.watch(connection)
            connection.due = deadlines.after(0.01)
            await connection.over
            deadlines.forget(connection)
            await asyncio.sleep(3 * TICK_SECONDS)  # the timer ends at its next turn, or has not yet: both must do

    run(story)


def test_all_connections_of_a_loop_share_one_timer() -> None:
    async def both() -> bool:
        loop = asyncio.get_running_loop()
        return deadlines_of(loop) is deadlines_of(loop)

    assert asyncio.run(both())
