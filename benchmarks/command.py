"""cspine's commands, within a benchmark."""

import contextlib
import shlex
import sys

import cspine.cli


def run(*words: str) -> None:
    """Runs a command in this process, as frameworks take half a minute to load; what it prints goes to stderr.

    Ends the process with the command's code where that is not 0.
    """
    print("cspine", shlex.join(words), file=sys.stderr, flush=True)
    with contextlib.redirect_stdout(sys.stderr):
        code = cspine.cli.main(words)
    if code:
        sys.exit(code)
