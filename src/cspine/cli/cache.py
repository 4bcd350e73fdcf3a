"""Shows how much a cache of prepared studies holds, or cleans it.

Nothing is lost by cleaning: what is needed again is prepared again. Runs that use the cache may go on meanwhile.
"""

import argparse
from pathlib import Path

from cspine.errors import UsageError

_GIB = 1 << 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the cache")
    parser.add_argument("--clean", action="store_true", help="remove what was unused for longest, until the rest fits --limit")
    parser.add_argument("--limit", type=float, default=0.0, metavar="GIB", help="GiB that may stay after --clean (default: 0)")
    parser.add_argument(
        "--keep-below", type=float, metavar="GIB", help="state what the cache may hold from now on, whatever uses it"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.datasets.cache import Cache

    if not options.folder.is_dir():
        raise UsageError(f"A cache is a folder. Received: {options.folder}, which is not there.")
    if options.limit < 0:
        raise UsageError(f"--limit needs a size from 0 GiB. Received: {options.limit:g}.")
    if options.keep_below is not None and options.keep_below < 0:
        raise UsageError(f"--keep-below needs a size from 0 GiB. Received: {options.keep_below:g}.")
    cache = Cache(options.folder)
    if options.keep_below is not None:
        cache.state_limit(round(options.keep_below * _GIB))
    if options.clean:
        print(f"{cache.clean(round(options.limit * _GIB))} entries removed")  # noqa: T201
    use = cache.use()
    size, limit = (f"{bytes_ / _GIB:.2f} GiB" for bytes_ in (use.size_bytes, use.limit_bytes))
    print(f"{options.folder}: {use.entries} entries, {size} of {limit}; longest unused: {use.unused_s / 86400:.1f} days")  # noqa: T201
    return 0
