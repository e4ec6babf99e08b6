"""Reading a row of the office's feed: every member named, of its kind and within its limits, or the row is refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gatectl.domain.business.rule import No

TEXT_CHARS_MAX: Final = 200
LIST_MAX: Final = 100
WALL_MS_MAX: Final = 4_102_444_800_000
"""2100-01-01: what is beyond it is a slip."""


@dataclass(slots=True)
class Body:
    """Members are asked for one by one; `fault` says the first that does not fit, or that nobody asked for."""

    plain: Mapping[str, Any]
    _wrong: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._given(name, default)
        if isinstance(value, str) and len(value) <= TEXT_CHARS_MAX and (value == "" or value.isprintable()):
            return value
        self._wrong.append(f"{name}: a text of at most {TEXT_CHARS_MAX} printable characters is needed")
        return ""

    def whole(self, name: str, least: int, most: int, default: int | None = None) -> int:
        value = self._given(name, default)
        if type(value) is int and least <= value <= most:
            return value
        self._wrong.append(f"{name}: a whole number from {least} to {most} is needed")
        return least

    def maybe_whole(self, name: str, least: int, most: int) -> int | None:
        self._known.add(name)
        return None if self.plain.get(name) is None else self.whole(name, least, most)

    def one_of(self, name: str, words: tuple[str, ...], default: str | None = None) -> str:
        value = self._given(name, default)
        if isinstance(value, str) and value in words:
            return value
        self._wrong.append(f"{name}: one of {', '.join(words)} is needed")
        return words[0]

    def flag(self, name: str) -> bool:
        value = self._given(name, False)
        if not isinstance(value, bool):
            self._wrong.append(f"{name}: true or false is needed")
        return value is True

    def words(self, name: str) -> tuple[str, ...]:
        value = self._given(name, ())
        fits = isinstance(value, list | tuple) and len(value) <= LIST_MAX
        if fits and all(isinstance(word, str) and 0 < len(word) <= TEXT_CHARS_MAX for word in value):
            return tuple(value)
        self._wrong.append(f"{name}: a list of at most {LIST_MAX} texts is needed")
        return ()

    def wrong(self, what: str) -> None:
        """Something else about the row that does not fit."""
        self._wrong.append(what)

    def fault(self) -> No | None:
        strangers = [f"{name}: not known here" for name in self.plain if name not in self._known]
        return No("E-USE-01", [*self._wrong, *strangers][0]) if self._wrong or strangers else None

    def _given(self, name: str, default: Any) -> Any:
        self._known.add(name)
        value = self.plain.get(name)
        return default if value is None else value
