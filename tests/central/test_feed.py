"""Reference data goes down without a hole, commands now or never."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from office_records import IN
from sqlalchemy import text
from test_hello import name_of

from central.db import feed
from gatectl.domain import facts as f
from sync.records import FEED_ROWS_MAX, Feed


def poll(site, epoch: int, after: int, wait: int = 0):
    return site.client.get(site.url(f"feed?epoch={epoch}&after={after}&wait={wait}"), headers=site.auth)


def polled(site, after: int, wait: int = 0) -> Feed:
    answer = poll(site, 1, after, wait)
    assert answer.status_code == 200, answer.text
    return Feed.from_json(answer.content)


def put(engine, key: str, body, site: str = "north") -> int:
    with engine.begin() as connection:
        return feed.put(connection, site, "tariff", key, body)


def order(engine, valid_s: int = 30, site: str = "north") -> str:
    with engine.begin() as connection:
        return feed.request_command(connection, site, "lane.open", {"lane": IN}, "mia", "snow", valid_s)


def command_state(engine, command: str) -> str:
    with engine.connect() as connection:
        asked = text("SELECT state FROM commands WHERE command = :command")
        return connection.execute(asked, {"command": command}).scalar_one()


def test_rows_come_once_in_order(site, engine) -> None:
    put(engine, "day", {"id": "day", "base_minor": 200})
    put(engine, "night", {"id": "night", "base_minor": 100})
    first = polled(site, 0)

    assert [(1, "day"), (2, "night")] == [(row.seq, row.key) for row in first.rows]
    assert {"id": "day", "base_minor": 200} == first.rows[0].body
    assert (2, 2) == (first.next, first.head)
    assert () == polled(site, first.next).rows


def test_a_long_feed_comes_in_pages(site, engine) -> None:
    with engine.begin() as connection:
        for number in range(FEED_ROWS_MAX + 5):
            feed.put(connection, site.name, "tariff", f"t{number}", {"id": f"t{number}"})
    first = polled(site, 0)

    assert (FEED_ROWS_MAX, FEED_ROWS_MAX, FEED_ROWS_MAX + 5) == (len(first.rows), first.next, first.head)
    assert 5 == len(polled(site, first.next).rows)


def test_a_snapshot_holds_what_is_current(site, engine) -> None:
    """A row changed twice is there once, one that is gone is not."""
    put(engine, "day", {"n": 1})
    put(engine, "night", {"n": 1})
    put(engine, "day", {"n": 2})
    put(engine, "night", None)
    answer = Feed.from_json(site.client.get(site.url("snapshot"), headers=site.auth).content)

    assert [("day", {"n": 2})] == [(row.key, row.body) for row in answer.rows]
    assert (1, 4, 4) == (answer.epoch, answer.next, answer.head)


def test_a_cursor_of_another_epoch_means_snapshot(site) -> None:
    answer = poll(site, 2, 0)

    assert (410, "resnapshot") == (answer.status_code, name_of(answer))


def test_an_office_restored_from_a_backup_moves_the_epoch_on(site, engine) -> None:
    """The site has row 2; the restored office never heard of it, and will write another row 2."""
    put(engine, "day", {"n": 1})
    answer = poll(site, 1, 2)
    snapshot = Feed.from_json(site.client.get(site.url("snapshot"), headers=site.auth).content)

    assert (410, "resnapshot") == (answer.status_code, name_of(answer))
    assert (2, 1) == (snapshot.epoch, snapshot.head)
    assert 200 == poll(site, 2, 1).status_code


def test_concurrent_writers_leave_no_hole_for_a_reader(site, engine) -> None:
    """Four writers, some of them slow to commit, and a reader that follows its cursor: every row is seen once."""
    writers, each = 4, 40
    done = threading.Event()

    def write(number: int) -> None:
        for turn in range(each):
            with engine.begin() as connection:
                feed.put(connection, site.name, "tariff", f"w{number}-{turn}", {"n": turn})
                if turn % 7 == number:
                    connection.execute(text("SELECT pg_sleep(0.01)"))

    def read() -> list[int]:
        seen: list[int] = []
        finishing = False
        while True:
            finishing = done.is_set()
            rows = feed.poll(engine, site.name, 1, seen[-1] if seen else 0).rows
            seen += [row.seq for row in rows]
            if finishing and not rows:
                return seen

    with ThreadPoolExecutor(writers + 1) as pool:
        reading = pool.submit(read)
        for writing in [pool.submit(write, number) for number in range(writers)]:
            writing.result()
        done.set()
        seen = reading.result()

    assert list(range(1, writers * each + 1)) == seen


def test_a_waiting_poll_wakes_up_for_a_row(site, engine) -> None:
    """The tariff is written while the site waits: it has it at once, not after its 25 s."""
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        waiting = pool.submit(polled, site, 0, 25)
        put(engine, "day", {"n": 1})
        found = waiting.result(timeout=20)

    assert ["day"] == [row.key for row in found.rows]
    assert time.monotonic() - began < 15


def test_waiting_polls_hold_no_connection(site, engine, client) -> None:
    """Thirty sites wait on twenty connections: none of them is taken while nothing happens."""
    office = client.app.state.office
    with ThreadPoolExecutor(30) as pool:
        waiting = [pool.submit(polled, site, 0, 25) for _ in range(30)]
        until = time.monotonic() + 15
        while len(getattr(office.wakeups.event(site.name), "_waiters", ())) < 30 and time.monotonic() < until:
            pass
        taken = office.engine.pool.checkedout()
        put(engine, "day", {"n": 1})
        found = [one.result(timeout=20) for one in waiting]

    assert 0 == taken
    assert [1] * 30 == [len(one.rows) for one in found]


def test_a_wait_beyond_the_limit_is_refused(site) -> None:
    assert (422, "malformed") == (poll(site, 1, 0, 26).status_code, name_of(poll(site, 1, 0, 26)))


# -- commands --------------------------------------------------------------------------------------------------------


def test_a_command_is_given_to_one_poll_alone(site, engine) -> None:
    made = order(engine)
    given = polled(site, 0).commands

    assert [(made, "lane.open", {"lane": IN}, "mia", "snow")] == [
        (one.id, one.verb, one.args, one.by, one.reason) for one in given
    ]
    assert 0 < given[0].valid_ms <= 30_000
    assert () == polled(site, 0).commands
    assert "sent" == command_state(engine, made)


def test_polls_at_once_share_no_command(site, engine) -> None:
    """The site's old and new connection both ask: the arm opens once."""
    made = [order(engine) for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        polls = list(pool.map(lambda _: feed.poll(engine, site.name, 1, 0).commands, range(8)))

    assert sorted(made) == sorted(one.id for given in polls for one in given)


def test_a_command_is_never_given_after_its_deadline(site, engine) -> None:
    """The site was away when somebody pressed the button: nothing opens when it comes back."""
    made = order(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE commands SET deadline_at = now() - interval '1 ms'"))

    assert () == polled(site, 0).commands
    assert "expired" == command_state(engine, made)


def test_a_snapshot_gives_no_command(site, engine) -> None:
    """A site that starts over must not be handed a backlog of orders."""
    made = order(engine)
    answer = Feed.from_json(site.client.get(site.url("snapshot"), headers=site.auth).content)

    assert () == answer.commands
    assert "requested" == command_state(engine, made)


def test_a_command_goes_to_its_own_site_alone(enrol, engine) -> None:
    enrol("north")
    south = enrol("south")
    order(engine, site="north")

    assert () == polled(south, 0).commands


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (lambda command: f.CommandDone(command, "office:mia", "snow"), "done"),
        (lambda command: f.CommandRefused(command, "office:mia", "E-LOCKED"), "refused"),
    ],
)
def test_the_sites_answer_closes_a_command(site, engine, made, state) -> None:
    """Also one that came long after: what happened is what the fact says."""
    command = order(engine)
    polled(site, 0)
    with engine.begin() as connection:
        connection.execute(text("UPDATE commands SET deadline_at = now() - interval '2 h'"))
        feed.expire(connection, site.name)
    assert "expired" == command_state(engine, command)
    site.journal.write(made(command))
    site.acked()

    assert state == command_state(engine, command)


def test_a_waiting_poll_wakes_up_for_a_command(site, engine) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(polled, site, 0, 25)
        made = order(engine)

        assert [made] == [one.id for one in waiting.result(timeout=20).commands]


def test_commands_do_not_pile_up_for_a_site_that_is_away(site, engine) -> None:
    for _ in range(feed.COMMANDS_WAITING_MAX):
        order(engine)
    with pytest.raises(feed.Refused, match="is it connected"):
        order(engine)
