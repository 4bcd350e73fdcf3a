"""Lets one run at a time work in the folder of a batch, or several shares of one division."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cspine.errors import OutputError
from cspine.jobs.job import Shard
from cspine.storage.files import LockedError, locked, locked_together

_LOCK = ".cspine.lock"
_DIVISION = ".cspine-of-{count}.lock"
_SHARE = ".cspine-{index}-of-{count}.lock"


@contextmanager
def occupied(out: Path, shard: Shard | None = None) -> Iterator[None]:
    """Holds the folder of a batch against other runs; it is made where it is missing.

    Shares of one division hold it together, each its own share. What a run that was killed held is free again.

    Args:
        out: The folder.
        shard: The share that this run does; all of the batch if ``None``.

    Raises:
        OutputError: Another run is at work there, or the folder cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as locks:
            if shard is None:
                locks.enter_context(locked(out / _LOCK))
            else:
                locks.enter_context(locked_together(out / _LOCK))
                locks.enter_context(locked_together(out / _DIVISION.format(count=shard.count)))
                locks.enter_context(locked(out / _SHARE.format(index=shard.index, count=shard.count)))
                _refuse_other_divisions(out, shard.count)
            held = locks.pop_all()
    except LockedError as error:
        raise OutputError(
            f"Another run of cspine writes to {out}. Wait until it ends, or choose another folder with -o."
        ) from error
    except OSError as error:
        raise OutputError(f"{out} cannot be written: {error.strerror}. Choose another folder with -o.") from error
    with held:
        yield


def _refuse_other_divisions(out: Path, count: int) -> None:
    """Refuses shares that would do some studies twice, as a half and a third."""
    own = _DIVISION.format(count=count)
    for path in out.glob(_DIVISION.format(count="*")):
        if path.name != own:
            with locked(path):
                pass
