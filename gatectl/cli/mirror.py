"""`gatectl mirror`: the tables that are read, made again from the journal. Only without a daemon."""

import click

from config.places import Places
from gatectl.cli.base import json_option, pass_places
from gatectl.cli.errors import CommandFailed
from gatectl.cli.show import emit


@click.group()
def mirror() -> None:
    """The mirror: the tables that are read, made from the journal."""


@mirror.command()
@json_option
@pass_places
def rebuild(places: Places, as_json: bool) -> None:
    """Empty the mirror's tables and make them again from the journal; all of it or nothing. Stop the daemon first."""
    from gatectl.domain.codec import BadBody, UnknownKind
    from gatectl.store.database import DATABASE_NAME, StateLock, StoreRefused, open_database, transaction
    from gatectl.store.projection import rebuild as rebuild_mirror

    path = places.state_dir / DATABASE_NAME
    if not path.exists():
        raise CommandFailed("E-CFG-02", f"{path}: there is no mirror; the daemon makes it at its first start.")
    try:
        lock = StateLock(places.state_dir)
        try:
            connection = open_database(path)
            try:
                with transaction(connection):
                    facts = rebuild_mirror(connection)
            finally:
                connection.close()
        finally:
            lock.release()
    except (StoreRefused, UnknownKind, BadBody) as refused:
        raise CommandFailed("E-CFG-02", str(refused)) from None
    done = f"the mirror was made again from {facts} facts"
    emit({"schema": "gatectl.done/1", "done": done, "position": facts}) if as_json else click.echo(done)
