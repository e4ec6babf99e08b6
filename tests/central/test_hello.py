"""Both ends compare what they hold before a record moves."""

from office_records import Journal, issued

from sync.records import Generation, Hello, NewGeneration, Welcome


def ask(enrolled, journal: Journal | None = None, **changed):
    mine = journal or enrolled.journal
    seq = len(mine.records)
    said = {
        "site": enrolled.name,
        "installation": mine.installation,
        "generation": mine.generation,
        "seq": seq,
        "head": mine.head_at(seq).hex(),
        "boot": "b0",
        "wall_ms": 0,
        "software": "gatectl 0.1.0",
    }
    return enrolled.client.post(
        enrolled.url("hello"), content=Hello(**(said | changed)).to_json(), headers=enrolled.auth
    )


def hello(site, journal: Journal | None = None, **changed) -> Welcome:
    answer = ask(site, journal, **changed)
    assert answer.status_code == 200, answer.text
    return Welcome.from_json(answer.content)


def begin(site, after: int):
    asked = NewGeneration(after, site.journal.installation, "test")
    return site.client.post(site.url("generations"), content=asked.to_json(), headers=site.auth)


def name_of(answer) -> str:
    return answer.json()["type"].rpartition("/")[2]


def open_alarms(site, operator) -> set[str]:
    seen = site.client.get(f"/api/v1/sites/{site.name}", headers=operator).json()
    return {alarm["code"] for alarm in seen["alarms"]}


def test_a_new_site_begins_at_its_genesis(site) -> None:
    said = hello(site)

    assert ("continue", 1, 0) == (said.verdict, said.generation, said.seq)
    assert site.journal.head_at(0).hex() == said.head


def test_a_site_goes_on_where_the_office_stands(site) -> None:
    site.journal.write(*[issued(number) for number in range(1, 6)])
    site.acked(1, 3)
    said = hello(site)

    assert ("continue", 3) == (said.verdict, said.seq)
    assert site.journal.head_at(3).hex() == said.head


def test_a_restored_site_is_told_so(site, operator) -> None:
    """The disk image of last week: the office holds more than the site ever heard of."""
    site.journal.write(*[issued(number) for number in range(1, 6)])
    site.acked()
    old = Journal(site.name, site.journal.installation).write()
    for record in site.journal.records[:2]:
        old.take(record)
    said = hello(site, old)

    assert ("new-generation", "behind") == (said.verdict, said.why)
    assert {"behind"} == open_alarms(site, operator)


def test_a_clone_that_went_its_own_way_is_told_so(site, operator) -> None:
    """Same numbers, other records: the heads differ."""
    site.journal.write(issued(1))
    site.acked()
    clone = Journal(site.name, site.journal.installation).write(issued(7))
    said = hello(site, clone)

    assert ("new-generation", "forked") == (said.verdict, said.why)
    assert {"forked"} == open_alarms(site, operator)


def test_a_new_generation_fences_the_old(site, operator) -> None:
    site.journal.write(issued(1))
    site.acked()
    made = begin(site, 1)
    site.journal.write(issued(2))
    late = site.send(2)

    assert 2 == Generation.from_json(made.content).generation
    assert (409, "fenced", 2) == (late.status_code, name_of(late), late.json()["generation"])
    assert "fenced" == hello(site).why
    assert {"new-generation", "fenced"} == open_alarms(site, operator)


def test_of_two_that_ask_after_the_same_generation_one_gets_it(site) -> None:
    answers = [begin(site, 1), begin(site, 1)]

    assert [201, 409] == [answer.status_code for answer in answers]
    assert ("fenced", 2) == (name_of(answers[1]), answers[1].json()["generation"])


def test_an_office_restored_from_a_backup_never_gives_a_generation_twice(site) -> None:
    """The site lives in generation 4, the restored office knows of 1: the next is 5, not 2."""
    later = Journal(site.name, site.journal.installation, generation=4).write(issued(1))
    said = hello(site, later)

    assert ("new-generation", "unknown", 1) == (said.verdict, said.why, said.generation)
    assert 5 == begin(site, 4).json()["generation"]


def test_a_protocol_that_we_do_not_speak_is_refused_by_name(site) -> None:
    answer = ask(site, protocol_min=7, protocol_max=9)

    assert (409, "protocol") == (answer.status_code, name_of(answer))


def test_a_hello_for_another_site_than_the_address_says_is_refused(site) -> None:
    answer = ask(site, site="south")

    assert (422, "malformed") == (answer.status_code, name_of(answer))
