"""Imports Keras and its framework without the notes that these write to stderr while they are loaded.

TensorFlow tells there which instructions of the processor it uses; no setting of its own silences all of that. A process of its own
leaves them out, so that what a library says before it aborts still appears.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_FILTER = r"""
import re, sys
noise = re.compile(rb"I\d{4} \d\d:|WARNING: All log messages before absl|To enable the following instructions: ")
for line in sys.stdin.buffer:
    if not noise.match(line):
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
"""
_STDERR = 2


def load_keras() -> None:
    """Imports Keras once; later imports take what is loaded.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # warnings too, but no errors; TensorFlow reads it while it is imported
    if "keras" in sys.modules:
        return
    with without_notes():
        import keras  # noqa: F401


@contextmanager
def without_notes() -> Iterator[None]:
    """Leaves out notes of libraries that write to the file descriptor of stderr within; all else appears."""
    try:
        kept = os.dup(_STDERR)
        strainer = subprocess.Popen([sys.executable, "-I", "-c", _FILTER], stdin=subprocess.PIPE)
    except OSError:  # no such descriptor, or no further process: notes are better than nothing
        yield
        return
    try:
        if strainer.stdin is not None:
            os.dup2(strainer.stdin.fileno(), _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        if strainer.stdin is not None:
            strainer.stdin.close()
        strainer.wait()
