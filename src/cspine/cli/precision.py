"""Declares what networks calculate in where a command predicts with those of a run."""

import argparse

from cspine.errors import UsageError
from cspine.training.core.settings import Precision


def add_precision(parser: argparse.ArgumentParser) -> None:
    """Declares the option."""
    parser.add_argument(
        "--precision",
        choices=[one.value for one in Precision],
        default=Precision.FLOAT32.value,
        help="what networks calculate in (default: float32, as in service); the others are faster on GPUs, mixed_bfloat16 also on "
        "processors with AMX",
    )


def check_precision(options: argparse.Namespace) -> None:
    """Makes sure that networks run in this process where they are to calculate in another precision.

    Raises:
        UsageError: They run on the workers of a cluster.
    """
    if options.engine != "local" and options.precision != Precision.FLOAT32:
        raise UsageError(
            f"Workers of a cluster calculate in float32. Received: --engine {options.engine} --precision {options.precision}."
        )
