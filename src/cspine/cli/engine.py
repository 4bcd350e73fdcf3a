"""Declares where the work of a command is done: this machine or a Ray cluster."""

import argparse
from typing import TYPE_CHECKING

from cspine.errors import UsageError

if TYPE_CHECKING:
    from cspine.jobs.joining import Cluster


def add_engine(parser: "argparse.ArgumentParser | argparse._ArgumentGroup") -> None:
    """Declares the options."""
    parser.add_argument(
        "--engine",
        choices=["local", "ray"],
        default="local",
        help="where the work is done: this machine or a Ray cluster (default: local)",
    )
    parser.add_argument("--cluster", metavar="ADDRESS", help="with ray: the cluster (default: RAY_ADDRESS, or a new one here)")
    parser.add_argument("--workers", type=int, metavar="N", help="with ray: workers at a time; as many as fit if not given")


def check_engine(options: argparse.Namespace) -> None:
    """Makes sure that options of a cluster come with one.

    Raises:
        UsageError: They do not.
    """
    if options.engine != "ray" and (options.cluster or options.workers):
        raise UsageError("--cluster and --workers need --engine ray. Received: --engine local.")


def cluster_of(options: argparse.Namespace) -> "Cluster":
    """Returns the cluster that was asked for.

    Raises:
        UsageError: The number of workers is none.
    """
    from cspine.jobs.joining import Cluster

    return Cluster(options.cluster, options.workers)
