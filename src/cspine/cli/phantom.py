"""Makes a data set of synthetic necks, some of them fractured, in the layout of the RSNA 2022 data.

OUT/truth/<uid>/truth.json says what each neck is made of. The same seed gives the same bytes, whatever the number of jobs or of
studies. A command that was stopped leaves only whole studies; called again, it makes the rest.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cspine.cli.engine import add_engine, check_engine, cluster_of
from cspine.cli.progress import progress
from cspine.concurrency.processors import processors
from cspine.errors import UsageError

if TYPE_CHECKING:
    from cspine.jobs.joining import Cluster
    from cspine.phantoms.dataset.collection import Makers, Plan

_MEMORY_BYTES = 2 << 30
"""What a worker of a cluster asks its machine for: a study of full size takes less."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("out", type=Path, metavar="OUT", help="folder of the data set")
    parser.add_argument("--studies", type=int, required=True, metavar="N", help="labelled studies")
    parser.add_argument("--test-studies", type=int, default=0, metavar="N", help="studies without labels (default: 0)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="random seed; the same seed makes the same studies (default: 0)"
    )
    parser.add_argument(
        "--size", choices=["full", "small"], default="full", help="512 x 512 or 288 x 288 with thick slices (default: full)"
    )
    parser.add_argument(
        "--masks", type=float, metavar="SHARE", help="share of studies with a mask (default: 87 of 2019, as in the RSNA data)"
    )
    parser.add_argument("--boxes", type=float, metavar="SHARE", help="share of positive studies with boxes (default: 235 of 961)")
    parser.add_argument(
        "--enriched",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of studies in which each level is fractured with a probability of one half, for training (default: 0)",
    )
    parser.add_argument(
        "--variation",
        choices=["typical", "wide", "fine", "held_out"],
        default="typical",
        help="how much necks and scans vary: typical, adults in trauma CT; wide, to train a localiser; fine, to train a classifier "
        "on bone of more kinds; held_out, to test either",
    )
    parser.add_argument("--jobs", type=int, default=0, metavar="J", help="processes (default: one for each core)")
    add_engine(parser)
    parser.add_argument(
        "--anatomy", type=Path, metavar="FILE", help="an anatomy that `cspine anatomy build` made (default: those shipped)"
    )


def run(options: argparse.Namespace) -> int:
    """Runs the command."""
    _check(options)
    from cspine.phantoms.dataset.collection import Plan, make_collection
    from cspine.phantoms.dataset.layout import RSNA_BOX_SHARE, RSNA_MASK_SHARE, Shares, Size
    from cspine.phantoms.dataset.subjects import sample_subject

    shares = Shares(
        masks=RSNA_MASK_SHARE if options.masks is None else options.masks,
        boxes=RSNA_BOX_SHARE if options.boxes is None else options.boxes,
        enriched=options.enriched,
    )
    varied = {} if options.variation == "typical" else {"variation": options.variation}
    plan = Plan(
        root=options.out.absolute(),
        studies=options.studies,
        test_studies=options.test_studies,
        seed=options.seed,
        size=Size(options.size),
        shares=shares,
        sampler=partial(sample_subject, anatomy=options.anatomy and options.anatomy.absolute(), **varied),
    )
    total = options.studies + options.test_studies
    made = sum(progress(make_collection(plan, _makers(options)), total, "phantoms"))
    print(f"{made} studies made, {total - made} were there: {options.out}")  # noqa: T201
    return 0


def _makers(options: argparse.Namespace) -> "int | Makers":
    """Returns what makes the studies: processes of this machine, or workers of a cluster."""
    return options.jobs or processors() if options.engine == "local" else partial(_on_cluster, cluster_of(options))


def _on_cluster(cluster: "Cluster", plan: "Plan", indices: Sequence[int]) -> Iterator[object]:
    from cspine.jobs.joining import Needs, joined
    from cspine.jobs.spreading import Labour, spread
    from cspine.phantoms.dataset.collection import make_at

    if indices:
        with joined(cluster):
            labour = Labour("study", make_at, Needs(_MEMORY_BYTES), cluster.workers)
            yield from spread(labour, [(plan, index) for index in indices], lambda text: print(text, file=sys.stderr))  # noqa: T201


def _check(options: argparse.Namespace) -> None:
    check_engine(options)
    if options.engine == "ray" and options.jobs:
        raise UsageError("--jobs is for this machine. With --engine ray, give --workers.")
    if options.studies < 0 or options.test_studies < 0 or options.studies + options.test_studies < 1:
        raise UsageError(f"--studies needs a positive number. Received: {options.studies} and {options.test_studies} test studies.")
    if options.seed < 0:
        raise UsageError(f"--seed needs a whole number from 0. Received: {options.seed}.")
    if options.jobs < 0:
        raise UsageError(f"--jobs needs a positive number. Received: {options.jobs}.")
    for name in ("masks", "boxes", "enriched"):
        share = getattr(options, name)
        if share is not None and not 0 <= share <= 1:
            raise UsageError(f"--{name} needs a share between 0 and 1. Received: {share}.")
    if options.anatomy is not None and not options.anatomy.is_file():
        raise UsageError(
            f"--anatomy needs a file that `cspine anatomy build` made. Received: {options.anatomy}, which is not there."
        )
