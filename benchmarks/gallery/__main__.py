"""Writes the pictures and the numbers of docs/explanation/gallery.md into a folder."""

import argparse
from pathlib import Path

from benchmarks.gallery import numbers, plates


def main() -> None:
    """Makes all in one command: pictures as PNG, numbers as numbers.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for the pictures")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), metavar="DIR", help="real scans to compare with")
    parser.add_argument("--necks", type=int, default=30, metavar="N", help="phantoms that the numbers are taken from (default: 30)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name, sheet in plates.sheets(options.data):
        sheet.save(options.out / f"{name}.png")
        print(f"{name}.png")
    (options.out / "numbers.md").write_text(numbers.tables(options.data, options.necks), encoding="utf-8")
    print("numbers.md")


if __name__ == "__main__":
    main()
