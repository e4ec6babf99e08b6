"""Where a database and what lies beside it are kept: the system's files, or those of a simulated disk."""

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BESIDE: Final = ("-wal", "-shm")
"""Endings of the files that SQLite keeps beside a database."""


@dataclass(frozen=True, slots=True)
class Files:
    """The system's. `vfs` is SQLite's name for the layer below it, if that is another."""

    vfs: str | None = None

    def exists(self, path: Path) -> bool:
        return path.exists()

    def copy(self, path: Path, to: Path) -> None:
        shutil.copyfile(path, to)

    def move(self, path: Path, to: Path) -> None:
        """What lies at `to` is replaced."""
        path.replace(to)

    def remove(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    # -- a database with what lies beside it ---------------------------------------------------------------------------

    def remove_database(self, path: Path) -> None:
        for ending in ("", *BESIDE):
            self.remove(path.with_name(path.name + ending))

    def move_database(self, path: Path, to: Path) -> None:
        for ending in ("", *BESIDE):
            if self.exists(path.with_name(path.name + ending)):
                self.move(path.with_name(path.name + ending), to.with_name(to.name + ending))

    def copy_database(self, path: Path, to: Path) -> None:
        """The file and what its log holds. Nobody has it open."""
        self.remove_database(to)
        for ending in ("", "-wal"):
            if self.exists(path.with_name(path.name + ending)):
                self.copy(path.with_name(path.name + ending), to.with_name(to.name + ending))


SYSTEM: Final = Files()
