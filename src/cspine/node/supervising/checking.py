"""Checks a configuration before a node runs with it: folders, database, model, destinations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cspine.errors import InputError
from cspine.node.config import Config
from cspine.node.receiving.spool import Folders
from cspine.node.store import open_store


@dataclass(frozen=True, slots=True)
class Checked:
    """Holds what came of one check.

    Attributes:
        what: What was checked.
        problem: What is wrong, in one line; ``None`` where nothing is.
    """

    what: str
    problem: str | None = None


def check(config: Config) -> Iterator[Checked]:
    """Yields one check after the other."""
    yield _tried(f"folder {config.node.data}", lambda: _check_folder(config))
    yield _tried("database", lambda: open_store(config.node.database, config.node.data).close())
    yield _tried("model packages", lambda: _check_packages(config))
    for destination in config.destinations:
        from cspine.node.delivering.archive import Archive

        yield _tried(f"destination {destination.name}", Archive(config, destination).echo)


def _tried(what: str, act: Callable[[], object]) -> Checked:
    try:
        act()
    except InputError as error:
        return Checked(what, str(error))
    except OSError as error:
        return Checked(what, error.strerror or type(error).__name__)
    return Checked(what)


def _check_folder(config: Config) -> None:
    folders = Folders(config.node.data)
    folders.make()
    if folders.free_gb() < config.keep.free_gb:
        raise InputError(
            f"{config.keep.free_gb:g} GB must be free. {folders.free_gb():.1f} GB are. Free the disk or lower keep.free_gb."
        )


def _check_packages(config: Config) -> None:
    from cspine.node.working.worker import task_of

    task_of(config).load()
