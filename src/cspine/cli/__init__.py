"""The command line: a light table of commands, each in its own file.

A command's module has ``add_arguments(parser)`` and ``run(args) -> int``, the exit code. It is imported when it is called, so
that the help text appears at once.
"""

import argparse
import errno
import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from importlib import import_module

import cspine
from cspine.errors import InputError, is_want_of_memory
from cspine.moment import now

COMMANDS = {
    "detect": "find fractures in scans",
    "locate": "find the vertebrae C1 to C7 in scans",
    "info": "say what is in a folder, a zip or a file, and what would be used",
    "phantom": "make a data set of synthetic necks in the RSNA layout",
    "graft": "put fractures into real scans, in the RSNA layout",
    "anatomy": "turn surfaces of vertebrae into an anatomy for phantoms",
    "cache": "show or clean a cache of prepared studies",
    "train": "train a recipe on a data set",
    "evaluate": "evaluate a trained run on the patients it has not seen",
    "compare": "compare runs or evaluations on the same patients",
    "calibrate": "fit a run's probabilities on another data set",
    "export": "turn a trained run into a model package",
    "bundle": "write a package's networks as ONNX, for use elsewhere",
    "submit": "write the submission file for the test studies of a data set",
    "models": "list the model packages at hand",
    "recipes": "list the recipes that can be trained",
    "serve": "run a node: receive scans, return results, show a worklist",
    "doctor": "say what this machine can do",
}

EXTRAS = {
    "keras": "train",
    "tensorflow": "train",
    "sklearn": "train",
    "tensorboardX": "train",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "highdicom": "dicom",
    "onnxruntime": "onnx",
    "onnx": "onnx",
    "ray": "ray",
    **dict.fromkeys(("sqlalchemy", "pynetdicom", "starlette", "uvicorn", "prometheus_client", "psycopg"), "serve"),
}
"""Which extra brings a library that a command may lack."""

_OF_A_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.EMFILE)
"""What a disk or a system refuses, whatever the command."""

_WANT_OF_MEMORY = "there is too little memory. Free some, or use a machine that has more."

_ABOUT = "Finds cervical spine fractures on CT. Research software, not a medical device."


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAULT = 1
    WRONG_INPUT = 2
    SOME_FAILED = 3
    ALL_REJECTED = 4
    INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code of the process.
    """
    _print_whatever_comes()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in COMMANDS:
        return _run(given[0], given[1:])
    parser = argparse.ArgumentParser(prog="cspine", description=_ABOUT, formatter_class=_Formatter, epilog=_table())
    parser.add_argument("--version", action="version", version=f"cspine {cspine.__version__}")
    parser.add_argument(
        "command",
        choices=COMMANDS,
        metavar="COMMAND",
        help="one of the commands below; `cspine COMMAND --help` explains it",
    )
    parser.parse_args(given or ["--help"])
    return Exit.WRONG_INPUT  # argparse leaves before, with a message of its own


def _run(name: str, arguments: list[str]) -> int:
    try:
        command = import_module(f"cspine.cli.{name}")
        parser = argparse.ArgumentParser(
            prog=f"cspine {name}", description=_description(command.__doc__), formatter_class=_Formatter
        )
        parser.add_argument("-v", "--verbose", action="store_true", help="log what is done")
        command.add_arguments(parser)
        options = parser.parse_args(arguments)
        now()  # an invalid time is reported before any work
        level = logging.INFO if options.verbose else logging.WARNING
        logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
        code = int(command.run(options))
        sys.stdout.flush()
    except InputError as error:
        return _reported(name, _WANT_OF_MEMORY if is_want_of_memory(error) else str(error))
    except BrokenPipeError:  # the reader of our output has closed it
        _close_stdout()
        return Exit.DONE
    except KeyboardInterrupt:
        return _reported(name, "interrupted; what was finished is kept", Exit.INTERRUPTED)
    except Exception as error:
        reason = _reason(error)
        if reason is None:
            raise
        logging.getLogger(__name__).info("%s stopped", name, exc_info=True)
        return _reported(name, reason)
    return code


def _description(docstring: str | None) -> str:
    """Returns a docstring as people read it in a terminal: without the marks of its literals."""
    return (docstring or "").replace("::\n", ":\n").replace("``", "`")


def _reason(error: Exception) -> str | None:
    """Returns what to say of an error that is no fault of ours; ``None`` where it is one."""
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"{error.name} is needed and not installed. Run: pip install 'cspine[{EXTRAS[error.name]}]'"
    if is_want_of_memory(error):
        return _WANT_OF_MEMORY
    if isinstance(error, OSError) and error.errno in _OF_A_PLACE:
        where = "what is printed here" if error.filename is None else error.filename
        return f"{where} cannot be written or read: {error.strerror}. Free the device, or choose another place."
    return None


def _reported(name: str, text: str, code: Exit = Exit.WRONG_INPUT) -> Exit:
    """Says a line on stderr; whatever was printed so far goes out first, if it can."""
    try:
        sys.stdout.flush()
    except OSError:
        _close_stdout()
    with suppress(OSError):
        print(f"cspine {name}: {text}", file=sys.stderr, flush=True)  # noqa: T201
    return code


def _close_stdout() -> None:
    """Keeps Python from printing again, when it ends, what could not be printed."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_whatever_comes() -> None:
    """Escapes characters that the terminal or the pipe does not have, as in names of files, instead of raising an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _table() -> str:
    return "commands:\n" + "\n".join(f"  {name:<10} {text}" for name, text in COMMANDS.items())


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of docstrings."""
