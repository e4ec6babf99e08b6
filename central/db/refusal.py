"""The office understood and said no."""

from typing import Any


class Refused(Exception):  # it is an answer, not a fault of ours
    """`name` is the problem's name on the wire, `status` its HTTP status, `members` further members of the problem."""

    def __init__(self, name: str, status: int, detail: str, members: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.name, self.status, self.detail, self.members = name, status, detail, members or {}
