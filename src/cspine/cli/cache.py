"""Shows how much a cache of prepared studies holds, cleans it, or fills it with what a run will ask for.

Nothing is lost by cleaning: what is needed again is prepared again. Runs that use the cache may go on meanwhile. With --fill RUN,
the studies of --data are prepared for all folds of a run of `cspine train`, also by the workers of a Ray cluster.
"""

import argparse
from pathlib import Path

from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.cli.keras_import import load_keras
from cspine.cli.screen import Screen
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
    parser.add_argument("--fill", type=Path, metavar="RUN", help="prepare the studies of --data for this run")
    parser.add_argument("--data", type=Path, metavar="DIR", help="with --fill: data set folder of the run")
    add_engine(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    from cspine.datasets.cache import Cache

    check_engine(options)
    if (options.fill is None) != (options.data is None) or (options.fill is None and options.engine == "ray"):
        raise UsageError("--fill RUN and --data DIR go together, and --engine ray with both.")
    if options.fill is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
        _fill(options)
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


def _fill(options: argparse.Namespace) -> None:
    load_keras()
    from cspine.cli.families import family_of_run
    from cspine.training.core.family import FillsCache, TrainingPlace, cases_to_train
    from cspine.training.core.runs import open_run

    current, place = open_run(options.fill), TrainingPlace(options.folder.absolute(), options.data.absolute())
    family = family_of_run(current)
    if not isinstance(family, FillsCache):
        raise UsageError(f"{current.facts.recipe} keeps nothing of single studies in a cache. Give a run of another recipe.")
    cases = cases_to_train(current, place, current.fold_numbers)
    with Screen() as screen:
        if options.engine == "local":
            family.fill_cache(cases, place, screen)
            return
        from cspine.cli.spread import on_cluster

        with on_cluster(cluster_of(options), current, place, screen) as spread_run:
            spread_run.fill_cache(cases)
