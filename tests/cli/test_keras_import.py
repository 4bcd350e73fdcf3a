import os
import subprocess
import sys
import textwrap

import pytest


def stderr_of(code: str) -> tuple[int, list[str]]:
    """Returns what a process writes to stderr, line by line, and its exit code."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    return done.returncode, done.stderr.splitlines()


def test_notes_of_a_library_are_left_out_and_all_else_appears() -> None:
    code, lines = stderr_of(
        """
        import os, sys
        from cspine.cli.keras_import import without_notes
        with without_notes():
            os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
            os.write(2, b"I0000 00:00:1795859352.868884   29343 port.cc:153] oneDNN custom operations are on.\\n")
            os.write(2, b"E0000 00:00:1795859352.868884   29343 cuda.cc:1] no device\\n")
            print("ours", file=sys.stderr)
        os.write(2, b"I0000 00:00:17 afterwards\\n")
        """
    )

    assert code == 0
    assert lines == ["E0000 00:00:1795859352.868884   29343 cuda.cc:1] no device", "ours", "I0000 00:00:17 afterwards"]


def test_what_a_library_says_before_it_aborts_appears() -> None:
    code, lines = stderr_of(
        """
        import os
        from cspine.cli.keras_import import without_notes
        with without_notes():
            os.write(2, b"F0000 00:00:17 cpu.cc:1] built for AVX instructions, which are not here\\n")
            os.abort()
        """
    )

    assert code != 0
    assert "F0000 00:00:17 cpu.cc:1] built for AVX instructions, which are not here" in lines


@pytest.mark.slow
def test_training_commands_load_keras_without_a_word() -> None:
    code, lines = stderr_of("from cspine.cli.keras_import import load_keras; load_keras(); import keras; keras.Sequential")

    assert (code, lines) == (0, [])
