"""What people and programs see: the page, the reading endpoints, and problems instead of surprises."""

import base64
import json
from dataclasses import replace

import pytest
from office_records import IN, issued, paid, stay
from test_hello import name_of

from central.api.reading_routes import moment
from central.office.page import age, money
from gatectl.domain import facts as f
from gatectl.domain.ids import PaymentId
from sync.records import Vitals


def get(site, operator, path: str):
    answer = site.client.get(f"/api/v1{path}", headers=operator)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.content, parse_float=no_float)


def no_float(text: str):
    raise AssertionError(f"a float in the answer: {text}")


@pytest.fixture
def busy(site):
    """Five stays, one of them still inside."""
    facts = [fact for number in range(1, 5) for fact in stay(number, 100 * number + 5)]
    site.journal.write(*facts, *stay(5)[:3])
    site.acked()
    return site


def vitals(enrolled, **changed) -> Vitals:
    said = Vitals(enrolled.name, 1, 50, 30, 9_000, "b0", "gatectl 0.1.0", 0, {"IN-1": "idle"}, {"main": 7})
    return replace(said, **changed)


def test_sites_show_what_they_are(busy, operator) -> None:
    found = get(busy, operator, "/sites")["items"][0]

    assert ("north", "Garage north", True, 1, 35) == tuple(
        found[name] for name in ("site", "name", "enrolled", "generation", "seq")
    )
    assert (5, 1, 5) == (found["tickets"], found["inside"], found["payments"])
    assert [{"amount_minor": 1470, "currency": "EUR"}] == found["paid"]
    assert busy.journal.heads[-1].hex() == found["head"]
    assert 0 <= found["last_contact_age_s"] < 60
    assert found == get(busy, operator, "/sites/north")


def test_a_site_in_two_currencies_is_summed_in_each(site, operator) -> None:
    franc = replace(paid(2, 300), currency="CHF", payment=PaymentId("chf"))
    site.journal.write(issued(1), paid(1, 450), issued(2), franc)
    site.acked()

    assert [{"amount_minor": 300, "currency": "CHF"}, {"amount_minor": 450, "currency": "EUR"}] == get(
        site, operator, "/sites/north"
    )["paid"]


@pytest.mark.parametrize(("what", "key"), [("tickets", "ticket"), ("payments", "payment")])
def test_pages_follow_each_other_without_hole_or_double(busy, operator, what, key) -> None:
    seen, path = [], f"/sites/north/{what}?limit=2"
    while path:
        answer = busy.client.get(f"/api/v1{path}", headers=operator)
        page = answer.json()
        seen += [row[key] for row in page["items"]]
        link = answer.headers.get("link")
        assert (page["next"] is None) == (link is None)
        path = link and link.split(">")[0].removeprefix("</api/v1")

    assert 5 == len(seen) == len(set(seen))
    assert sorted(seen) == seen


def test_a_ticket_and_its_payment_tell_their_story(busy, operator) -> None:
    ticket = get(busy, operator, f"/sites/north/tickets/{issued(1).ticket}")
    payment = get(busy, operator, "/sites/north/payments?limit=1")["items"][0]

    assert ("exited", {"amount_minor": 105, "currency": "EUR"}) == (ticket["state"], ticket["paid"])
    assert ("2026-09-21T14:13:20Z", "2026-09-21T14:13:21Z") == (ticket["issued"], ticket["entered"])
    assert ("COMPLETED", {"amount_minor": 105, "currency": "EUR"}) == (payment["state"], payment["amount"])
    assert [{"text": "2 h at 2.25", "amount_minor": 105}] == payment["lines"]


def test_a_clock_that_was_never_set_does_not_break_the_reading() -> None:
    assert [None, None] == [moment(2**53), moment(None)]


@pytest.mark.parametrize("path", ["/sites", "/sites/north", "/sites/north/tickets", "/sites/north/payments"])
@pytest.mark.parametrize("said", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
def test_reading_needs_the_operators_token(site, path, said) -> None:
    answer = site.client.get(f"/api/v1{path}", headers=said)

    assert (401, "not-authenticated") == (answer.status_code, name_of(answer))
    assert "Bearer" == answer.headers["www-authenticate"]


def test_a_sites_credential_does_not_read(site) -> None:
    assert 401 == site.client.get("/api/v1/sites", headers=site.auth).status_code


def test_an_operators_token_does_not_write(site, operator) -> None:
    assert 403 == site.client.get(site.url("snapshot"), headers=operator).status_code


PROBLEMS = [
    ("GET", "/nowhere", 404, "not-found"),
    ("GET", "/api/v1/sites/nowhere", 404, "unknown-site"),
    ("GET", "/api/v1/sites/nowhere/tickets", 404, "unknown-site"),
    ("GET", "/api/v1/sites/north/tickets/9", 404, "unknown-ticket"),
    ("GET", "/api/v1/sites/north/tickets/%00", 422, "malformed"),
    ("GET", "/api/v1/sites/north/tickets?limit=0", 422, "malformed"),
    ("GET", "/api/v1/sites/north/tickets?limit=x", 422, "malformed"),
    ("GET", "/api/v1/sites/north/tickets?cursor=%25%25", 422, "bad-cursor"),
    ("GET", "/api/v1/sites/north/tickets?cursor=AAAA", 422, "malformed"),
    ("POST", "/api/v1/sites", 405, "method-not-allowed"),
    ("DELETE", "/", 405, "method-not-allowed"),
    ("POST", "/sync/v1/enrolments", 422, "malformed"),
]


@pytest.mark.parametrize(("method", "path", "status", "name"), PROBLEMS)
def test_every_error_is_a_problem(site, operator, method, path, status, name) -> None:
    answer = site.client.request(method, path, headers=operator, content=b"{broken")
    said = answer.json()

    assert (status, "application/problem+json") == (answer.status_code, answer.headers["content-type"])
    assert (f"/problems/{name}", status) == (said["type"], said["status"])
    assert {"type", "title", "status", "detail"} <= set(said)
    assert status != 405 or answer.headers["allow"]


BROKEN = [b"", b"{", b"[]", b'{"schema":"other/1"}', b'{"a":1.5}', b"\xff", b"[" * 50_000, b'{"schema":NaN}']


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
@pytest.mark.parametrize(("method", "rest"), [("POST", "hello"), ("POST", "generations"), ("PUT", "vitals")])
def test_broken_json_is_a_problem_wherever_it_is_sent(site, method, rest, content) -> None:
    answer = site.client.request(method, site.url(rest), content=content, headers=site.auth)

    assert (422, "malformed") == (answer.status_code, name_of(answer))


def test_a_lone_surrogate_is_a_problem_and_no_fault(site) -> None:
    sent = vitals(site).to_json().replace(b"b0", b"\\ud800")
    answer = site.client.put(site.url("vitals"), content=sent, headers=site.auth)

    assert (422, "malformed") == (answer.status_code, name_of(answer))


def test_an_oversize_message_is_a_problem(site) -> None:
    answer = site.client.post(site.url("hello"), content=b" " * 70_000, headers=site.auth)

    assert (413, "too-large") == (answer.status_code, name_of(answer))


def test_a_fault_of_ours_is_a_problem_too(site, operator, monkeypatch) -> None:
    """A bug answers like everything else, and says nothing about our insides."""
    from central.db import reading

    monkeypatch.setattr(reading, "one", lambda *_: 1 // 0)
    answer = site.client.get("/api/v1/sites/north", headers=operator)

    assert (500, "fault") == (answer.status_code, name_of(answer))
    assert "division" not in answer.text


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_shows_the_site_its_backlog_and_its_alarms(busy) -> None:
    busy.client.put(busy.url("vitals"), content=vitals(busy).to_json(), headers=busy.auth)
    first = len(busy.journal.records) + 1
    busy.journal.write(f.LaneFaulted(IN, f.LaneFault.PRINTER_OUT, "<b>no paper</b>"))
    busy.acked(first)
    answer = busy.client.get("/")
    page = answer.text

    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert "Garage north" in page
    assert "connected" in page
    assert "14.70 EUR" in page
    assert "1 / 36" in page
    assert busy.journal.heads[-1].hex()[:12] in page
    assert '<td class="n">14</td>' in page, "the backlog: record 50 is written there, 36 are here"
    assert "printer-out" in page
    assert "&lt;b&gt;no paper&lt;/b&gt;" in page


def test_the_page_asks_nothing_of_any_other_host(busy) -> None:
    answer = busy.client.get("/")

    assert "://" not in answer.text
    assert "prefers-color-scheme: dark" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_empty_office_says_what_to_do(client) -> None:
    assert "gatectl-central site add" in client.get("/").text


def test_the_open_page_is_closed_to_a_rebound_name(busy) -> None:
    """evil.example resolves to 127.0.0.1: the browser's page there must not read ours."""
    answer = busy.client.get("/", headers={"Host": "evil.example"})

    assert (401, "not-authenticated") == (answer.status_code, name_of(answer))


def test_a_closed_page_takes_the_token_as_password(busy, operator) -> None:
    busy.client.app.state.office.open_page = False
    token = operator["Authorization"].split()[1]

    def asked(password: str):
        said = base64.b64encode(f"anyone:{password}".encode()).decode()
        return busy.client.get("/", headers={"Authorization": f"Basic {said}"}).status_code

    assert [401, 401, 200] == [busy.client.get("/").status_code, asked("wrong"), asked(token)]


def test_vitals_of_another_site_are_refused(busy) -> None:
    answer = busy.client.put(busy.url("vitals"), content=vitals(busy, site="south").to_json(), headers=busy.auth)

    assert (422, "malformed") == (answer.status_code, name_of(answer))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (0, "EUR", "0.00 EUR"),
        (-5, "EUR", "-0.05 EUR"),
        (123456789, "INR", "1,234,567.89 INR"),
        (500, "JPY", "500 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (7, "KWD", "0.007 KWD"),
    ],
)
def test_money_is_written_with_its_currencys_digits(amount, currency, text) -> None:
    assert text == money(amount, currency)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "never"), (5, "5 s"), (180, "3 min"), (7_380, "2 h 3 min"), (180_000, "2 d 2 h")]
)
def test_an_age_is_for_people(seconds, text) -> None:
    assert text == age(seconds)


def test_no_column_and_no_schema_holds_a_float(client) -> None:
    """Money and times are whole numbers from the wire to the table."""
    from central.db.schema import metadata

    types = {str(column.type) for table in metadata.tables.values() for column in table.columns}
    described = json.dumps(client.get("/openapi.json").json())

    assert {"TEXT", "BIGINT", "BOOLEAN", "DATETIME", "BLOB", "JSONB"} == types
    assert '"type": "number"' not in described
