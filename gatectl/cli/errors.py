"""How a command fails: a code, a sentence, a cause, an action; as text for people, as gatectl.error/1 for scripts."""

import json
from collections.abc import Mapping
from typing import Any

import click

from gatectl.domain.codes import Exit, code_of


class CommandFailed(click.ClickException):
    """Raised by a command that cannot do what was asked; how the program exits is its code's to say."""

    def __init__(
        self, code: str, message: str = "", cause: str = "", action: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        row = code_of(code)
        super().__init__(message or row.sentence)
        self.code = code
        self.cause = cause or row.cause
        self.action = action or row.action
        self.data = dict(data or {})

    @classmethod
    def told(cls, answer: Mapping[str, Any]) -> "CommandFailed":
        """From the daemon's gatectl.error/1."""
        words = {key: str(answer.get(key) or "") for key in ("message", "cause", "action")}
        known = {"schema", "code", "see", *words}
        more = {key: value for key, value in answer.items() if key not in known}
        return cls(str(answer.get("code", "E-BUG-01")), **words, data=more)

    def plain(self) -> dict[str, Any]:
        return {
            "schema": "gatectl.error/1",
            **self.data,
            "code": self.code,
            "message": self.message,
            "cause": self.cause,
            "action": self.action,
            "see": f"gatectl help {self.code}",
        }


def explain(failed: CommandFailed) -> str:
    """The four lines of a failure."""
    return problem_text({**failed.plain(), "sentence": failed.message})


def problem_text(problem: Mapping[str, Any]) -> str:
    """One problem as four aligned lines; those that say nothing are left out."""
    rows = (
        ("problem", problem.get("sentence")),
        ("cause", problem.get("cause")),
        ("action", problem.get("action")),
        ("see", problem.get("see")),
    )
    return "\n".join(f"{name:>7}: {text}" for name, text in rows if text)


def report(error: click.ClickException, as_json: bool) -> int:
    """Write an error to stderr; returns the exit code."""
    if not isinstance(error, CommandFailed) and as_json:
        code = "E-USE-01" if isinstance(error, click.UsageError) else "E-BUG-01"
        error = CommandFailed(code, error.format_message())
    if not isinstance(error, CommandFailed):
        error.show()
        return error.exit_code
    click.echo(json.dumps(error.plain(), ensure_ascii=False) if as_json else explain(error), err=True)
    return int(code_of(error.code).exit)


def cancelled() -> click.exceptions.Exit:
    """What to raise when a person says no."""
    click.echo("Nothing was done.", err=True)
    return click.exceptions.Exit(int(Exit.CANCELLED))
