"""Training, phantoms, caches and evaluation on a cluster of two machines, both of them this one, against one machine."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cspine.anatomy import CERVICAL
from cspine.cli import Exit, main
from cspine.datasets.cache import Cache
from cspine.phantoms.dataset.collection import make_collection
from tests.cli.on_workers import rows_of
from tests.phantoms.test_collection import contents, plan
from tests.training.coded_necks import neck
from tests.training.folders import write_data_set
from tests.training.synthetic import assert_same_checkpoints

pytest.importorskip("ray", reason="needs the extra ray: pip install 'cspine[ray]'")

pytestmark = pytest.mark.slow
_ROOT = Path(__file__).parents[2]

_RECIPE = '''"""A small network; the worker that trains fold 1 dies once on the cluster, after its first checkpoint."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cspine.networks.settings import CustomCNNSettings
from cspine.recipes.custom_cnn import RECIPE as CUSTOM_CNN
from dataclasses import replace


@dataclass(frozen=True)
class MortalSettings(CustomCNNSettings):
    def build(self, spec, seed):
        if seed % 100 == 1 and os.environ.get("WORKER_DIES_ONCE"):
            threading.Thread(target=_die_once, daemon=True).start()
        return CustomCNNSettings.build(self, spec, seed)


def _die_once():
    here = Path(__file__).parent
    while not (here / "fold-1" / "checkpoint.npz").exists():
        time.sleep(0.01)
    if not (here / "died").exists():
        (here / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


RECIPE = replace(CUSTOM_CNN, name="mortal", network=MortalSettings())
'''


@dataclass(frozen=True)
class Clustered:
    """Holds what came of it.

    Attributes:
        place: Its folder: ``cluster`` and ``here`` were made from the same ``data``.
        noted: What the process on the cluster noted.
        stderr: What it warned of.
    """

    place: Path
    noted: dict[str, Any]
    stderr: str


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory, coded_package: Path) -> Clustered:
    place = tmp_path_factory.mktemp("on_cluster")
    (place / "packages").symlink_to(coded_package.parent)
    (place / "recipe.py").write_text(_RECIPE)
    for name, first, count in (("data", 0, 10), ("unseen", 100, 4)):
        write_data_set(place / name, [neck(i, CERVICAL[i % 7] if i % 2 else None, mask=True) for i in range(first, first + count)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.cli.clustered", str(place)],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": f"{_ROOT / 'src'}{os.pathsep}{_ROOT}", "RAY_worker_niceness": "0"},  # ours decides
        capture_output=True,
        text=True,
        timeout=1400,
        check=False,
    )
    assert (place / "noted.json").is_file(), done.stderr
    noted = json.loads((place / "noted.json").read_text())
    if "not_started" in noted:
        pytest.skip(f"Ray could not start a cluster on this machine, which may be too busy: {noted['not_started']}")
    return Clustered(place, noted, done.stderr)


@pytest.fixture(scope="module")
def here(clustered: Clustered) -> Path:
    """Returns the folder of the same commands on one machine."""
    assert clustered.noted["codes_here"] == [Exit.DONE] * 3, clustered.stderr
    return clustered.place / "here"


def test_two_folds_are_trained_to_the_same_bits_although_a_worker_died(clustered: Clustered, here: Path) -> None:
    there = clustered.place / "cluster" / "run"

    assert clustered.noted["codes"] == [Exit.DONE] * 3, clustered.stderr
    assert (there / "died").is_file()
    assert "a worker died over fold 2 of 2; it is tried again" in clustered.stderr
    for fold in ("fold-0", "fold-1"):
        assert_same_checkpoints(there / fold, here / "run" / fold)
        assert (there / fold / "held_out.csv").read_text() == (here / "run" / fold / "held_out.csv").read_text()
    assert len(re.findall(r"^fold [01]  epoch 2/2  loss ", clustered.stderr, re.MULTILINE)) == 2  # those of the cluster
    assert (there / "report.html").is_file()


def test_unseen_studies_get_the_same_probabilities(clustered: Clustered, here: Path) -> None:
    there = clustered.place / "cluster" / "evaluation"

    assert (there / "scores.csv").read_bytes() == (here / "evaluation" / "scores.csv").read_bytes()
    assert json.loads((there / "evaluation.json").read_text()) == json.loads((here / "evaluation" / "evaluation.json").read_text())


def test_a_cache_is_filled_with_the_same_entries(clustered: Clustered, here: Path) -> None:
    there = clustered.place / "cluster" / "filled"
    names = [{path.name for path in (folder / "entries").iterdir()} for folder in (there, here / "filled")]

    assert names[0] == names[1]
    assert Cache(there).use().entries == 2 * 10


def test_phantoms_have_the_same_bytes_and_are_made_once(clustered: Clustered, tmp_path: Path) -> None:
    list(make_collection(plan(tmp_path / "phantoms", 2), 1))

    assert clustered.noted["phantoms"] == [True] * 3 + [False] * 3
    assert contents(clustered.place / "cluster" / "phantoms") == contents(tmp_path / "phantoms")


def test_rows_of_the_families_are_the_same_although_a_worker_died(clustered: Clustered) -> None:
    there, here = (rows_of(clustered.place, name)[0] for name in ("cluster", "here"))
    tables = [[line.split(" | ")[:-2] for line in table] for table in clustered.noted["rows"]]  # without what it took

    assert "a worker died over row 1 of 3; it is tried again" in clustered.stderr
    assert clustered.stderr.index("done: teacher") < clustered.stderr.index("done: student")
    assert len(tables[0]) == 7
    assert tables[0] == tables[1]
    for name in ("teacher", "student", "boxes"):
        assert (there.runs / name / "run.json").read_text() == (here.runs / name / "run.json").read_text()
        assert (there.runs / name / "fold-0" / "held_out.csv").read_text() == f"{name}, {name == 'teacher'}"  # the retry resumed


def test_a_piece_waits_for_another_and_lets_those_pass_that_do_not(clustered: Clustered) -> None:
    assert clustered.noted["pieces"]["ordered"] == [[0, False], [1, True], [2, False]]


def test_no_piece_waits_for_a_later_one() -> None:
    from cspine.jobs.joining import Needs
    from cspine.jobs.spreading import Labour, spread

    with pytest.raises(ValueError, match=r"^A piece waits for one that stands before it\. Received: \{0: 1\}$"):
        next(spread(Labour("piece", len, Needs(1)), [((),), ((),)], after={0: 1}))


def test_a_killed_worker_costs_one_retry(clustered: Clustered) -> None:
    pieces = clustered.noted["pieces"]

    assert pieces["once"] == [[0, 0], [1, 1], [2, 4]]
    assert pieces["warnings"] == ["a worker died over piece 2 of 3; it is tried again"]
    assert pieces["always"].startswith("UsageError: 2 workers of the cluster died over piece 1 of 1, perhaps for want of memory.")


def test_what_a_piece_raises_is_raised_here(clustered: Clustered) -> None:
    pieces = clustered.noted["pieces"]

    assert pieces["refused"] == "UsageError: Not this one."
    assert pieces["fault"].startswith("ZeroDivisionError") or "ZeroDivisionError" in pieces["fault"]
    assert re.match(
        r"^One processor, 1 GPU and \d+ GiB of memory are needed on a machine of the cluster\. Received: .* Add machines",
        pieces["full"],
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["phantom", "OUT", "--studies", "1", "--workers", "2"], "--cluster and --workers need --engine ray."),
        (["phantom", "OUT", "--studies", "1", "--engine", "ray", "--jobs", "2"], "With --engine ray, give --workers."),
        (["train", "custom_cnn", "-o", "OUT", "--engine", "ray", "--tracker", "mlflow"], "With --engine ray, leave them out."),
        (["evaluate", "RUN", "--data", "DATA", "-o", "OUT", "--cluster", "auto"], "--cluster and --workers need --engine ray."),
        (["cache", "OUT", "--engine", "ray"], "--fill RUN and --data DIR go together, and --engine ray with both."),
        (["cache", "OUT", "--fill", "RUN"], "--fill RUN and --data DIR go together"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == Exit.WRONG_INPUT

    assert message in capsys.readouterr().err


def test_a_study_that_only_another_machine_sees_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cspine.errors import OutputError

    with pytest.raises(
        OutputError, match=r"^3 of 3 studies that were made are not in .* here\. Give a folder that all machines see\.$"
    ):
        list(make_collection(plan(tmp_path / "phantoms", 2), lambda _, indices: iter(indices)))


def test_a_machine_with_another_cspine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from cspine.errors import UsageError
    from cspine.jobs import spreading

    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "10.0.0.7")

    with pytest.raises(UsageError, match=r"need cspine 9\.9\. Received: .* on 10\.0\.0\.7\. Install the same there\.$"):
        spreading._call("9.9", len, ((),))
