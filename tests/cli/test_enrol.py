"""`gatectl sync enrol`: a one-time code becomes a credential, or a sentence that says why not."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

SECRET = "s" * 40


@pytest.fixture
def office() -> Iterator[str]:
    """An office that knows one code, on loopback."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            good = asked["code"] == "GOOD-CODE"
            installed = {"installation": "i-1", "generation": 1, "credential": SECRET}
            told = {"schema": "gatectl.enrolled/1", "site": asked["site"], **installed}
            problem = {"type": "https://gatectl.example/problems/bad-code", "title": "bad code", "status": 403}
            body = json.dumps(told if good else problem).encode()
            self.send_response(201 if good else 403)
            self.send_header("content-type", "application/json" if good else "application/problem+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def credential(site: Any) -> Path:
    path: Path = site.root / "state" / "credentials" / "office.json"
    return path


def test_a_code_becomes_a_credential(quiet_site: Any, office: str) -> None:
    """The file is the owner's alone; the secret is not printed."""
    result = quiet_site.run("sync", "enrol", "--office", office, "--code", "GOOD-CODE")

    assert 0 == result.exit_code, result.output
    assert 0o600 == credential(quiet_site).stat().st_mode & 0o777
    assert SECRET in credential(quiet_site).read_text()
    assert SECRET not in result.output
    assert "centrum-01 is enrolled" in result.stdout


def test_a_second_enrolment_is_refused_before_the_code_is_spent(quiet_site: Any, office: str) -> None:
    """Unless it is meant: --replace."""
    words = ("sync", "enrol", "--office", office, "--code", "GOOD-CODE")
    quiet_site.run(*words)

    assert "E-SYNC-02" == quiet_site.error(*words)["code"]
    assert 0 == quiet_site.run(*words, "--replace").exit_code


@pytest.mark.parametrize(
    ("address", "code", "error"),
    [
        (None, "BAD-CODE", "E-SYNC-02"),
        ("http://127.0.0.1:1", "GOOD-CODE", "E-SYNC-01"),
        ("http://office.example", "GOOD-CODE", "E-SYNC-02"),
        ("office", "GOOD-CODE", "E-SYNC-02"),
    ],
)
def test_no_credential_is_left_by_a_failure(
    quiet_site: Any, office: str, address: str | None, code: str, error: str
) -> None:
    """A wrong code, nobody there, plain HTTP over the network, no address at all."""
    found = quiet_site.error("sync", "enrol", "--office", address or office, "--code", code)

    assert error == found["code"]
    assert not credential(quiet_site).exists()


def test_a_site_file_without_an_id_cannot_enrol(quiet_site: Any, office: str) -> None:
    """The office must know who asks."""
    (quiet_site.root / "gatectl.toml").write_text("")

    assert "E-CFG-01" == quiet_site.error("sync", "enrol", "--office", office, "--code", "GOOD-CODE")["code"]
