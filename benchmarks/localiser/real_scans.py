"""Measures what wider phantoms and real scans bring a localiser: the same further training of one package without them.

    python -m benchmarks.localiser.real_scans OUT --start PACKAGE --data DIR --marks MARKS.json --scans SCANS [--rows NAME ...]

PACKAGE is what each row goes on from, DIR the real scans with pseudo-labels (`benchmarks.localiser.pseudo_labels`), SCANS the
folder of those that MARKS.json marks, of which none was trained on. Every row is trained by `cspine train localiser` for as many
steps, exported with the second network of PACKAGE, and evaluated as `benchmarks.localiser.marked` does. A row that is done is not
done again, one that was killed goes on. With KERAS_BACKEND=torch rows are trained and no more, as networks are exported on
TensorFlow: call it again there. Prints a table in Markdown, with 95 % intervals over scans.
"""

import argparse
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras

from benchmarks import command
from benchmarks.ablations import Row
from benchmarks.localiser.marked import compare, shares
from cspine.locating import Localiser
from cspine.modelpack import Figure
from cspine.reading import read_study
from cspine.storage.files import write_text
from cspine.training.core.settings import Precision

BUDGET = (
    "--set pool.necks=280 --set augmentation.coarse_share=0.3 --set fit.epochs=3 --set fit.batches=450 "
    "--set fit.learning_rate=1e-3 --set fit.threads=1"
)
"""1350 windows."""

START = Row("start", "no further training")
_REAL = Row(
    "real_scans", "wide phantoms and real scans", "--skip-broken --set pool.wide=0.55 --set masked.share=0.5 --set split.folds=10"
)
ROWS = (
    START,
    Row("typical_phantoms", "typical phantoms", "--set pool.held_out=16"),
    Row("wide_phantoms", "wide phantoms", "--set pool.held_out=16 --set pool.wide=0.55"),
    _REAL,
)


def main() -> None:
    """Prints the table."""
    options = _arguments()
    chosen = [row for row in ROWS if not options.rows or row.name in options.rows]
    for row in chosen:
        if row is not START:
            _train(row, options)
            keras.backend.clear_session()
    if keras.backend.backend() == "torch":
        print("The rows are trained. Call the same on TensorFlow, which exports and evaluates them.")
        return
    for row in chosen:
        _evaluate(row, options)
    print("\n".join(table(options.out)))


def words(row: Row, options: argparse.Namespace) -> list[str]:
    """Returns how a row is trained, as words of its command."""
    start = f"--set initial_weights={shlex.quote(str(options.start))}"
    return shlex.split(f"{BUDGET} {row.options} {start} --set fit.precision={options.precision}")


def _train(row: Row, options: argparse.Namespace) -> None:
    """Trains a row, or what is left to do of it."""
    folder = options.out / row.name
    data = ["--data", str(options.data)] if row is _REAL else []
    given = ["--resume"] if (folder / "run.json").is_file() else words(row, options)
    command.run("train", "localiser", "-o", str(folder), *data, *given, "--cache", str(options.out / "cache"))


def _evaluate(row: Row, options: argparse.Namespace) -> None:
    """Exports a row and measures how many marked levels it names right."""
    package, result = options.out / "packages" / row.name, _result(options.out, row)
    if result.is_file():
        return
    if row is START:
        package = options.start
    elif not package.is_dir():
        whom = "patients and phantoms" if row is _REAL else "phantoms"
        described = ("--trained-on", whom, "--describe", f"a further training on {row.what}")
        command.run("export", str(options.out / row.name), "--refiner", str(options.start), "-o", str(package), *described)
    localiser = Localiser(str(package))
    marks = json.loads(options.marks.read_text(encoding="utf-8"))
    found = [compare(localiser(read_study(options.scans / f"{scan}.nii.gz").volume), points) for scan, points in marks.items()]
    figures = {figure.name: _told(figure) for figure in shares(found)}
    write_text(result, json.dumps(figures, indent=1) + "\n")


def table(out: Path) -> Iterator[str]:
    """Yields what each row that was evaluated reaches."""
    done: Sequence[Row] = [row for row in ROWS if _result(out, row).is_file()]
    results = [json.loads(_result(out, row).read_text(encoding="utf-8")) for row in done]
    if results:
        yield "| trained on | " + " | ".join(results[0]) + " |"
        yield "|---" * (1 + len(results[0])) + "|"
    for row, figures in zip(done, results, strict=True):
        yield "| " + " | ".join([row.what, *figures.values()]) + " |"


def _result(out: Path, row: Row) -> Path:
    return out / f"{row.name}.json"


def _told(figure: Figure) -> str:
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of runs and results")
    parser.add_argument("--start", required=True, metavar="PACKAGE", help="the localiser that every row goes on from")
    for name, what in (("data", "real scans with pseudo-labels"), ("marks", "marked levels"), ("scans", "the marked scans")):
        parser.add_argument(f"--{name}", type=Path, required=True, help=what)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="some of the rows (default: all)")
    parser.add_argument("--precision", choices=[kind.value for kind in Precision], default=Precision.FLOAT32.value)
    return parser.parse_args()


if __name__ == "__main__":
    main()
