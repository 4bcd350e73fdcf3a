"""Measures how fast a study is predicted.

``python -m benchmarks.speed --data DIR [--torch PYTHON] [--transfer]`` predicts one study of about 320 slices of 512 x 512, a
phantom of full size, which is made into DIR if nothing is there: stage by stage, the median of several times. Then the same neck
in 100 to 1000 slices, and in a wider field. First it says what the machine could do. ``--torch`` names a Python that has PyTorch,
and times what won RSNA 2022 beside it, all of ours against all of it and networks against networks; ``--transfer`` a U-Net with
InceptionResNetV2 on every slice. All in one run, one after the other.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.localiser.speed import stages_s
from benchmarks.speed.machine import measure
from cspine.detection import Detector
from cspine.geometry import Grid
from cspine.imaging import sample
from cspine.reading import read_study
from cspine.study import Study
from cspine.volume import Volume

_ROUNDS = 5
_SLICES, _SIDE = 320, 512
_GROWTH = (100, 200, 320, 640, 1000)
_WIDE_MM = 205.0
_MORE_ROUNDS = 3
_PHANTOM = ["--studies", "1", "--seed", "11", "--size", "full"]


@dataclass(frozen=True, slots=True)
class Stages:
    """Median seconds by stage, and of all."""

    seconds: dict[str, float]

    @property
    def total(self) -> float:
        """Returns the seconds of all stages."""
        return sum(self.seconds.values())

    def __str__(self) -> str:
        return "  ".join(f"{name} {s:.2f}" for name, s in [*self.seconds.items(), ("sum", self.total)])


def main() -> None:
    """Prints what was measured."""
    options = _arguments()
    machine = measure()
    print(f"machine: f32 {machine.f32:.0f} GFLOP/s, bf16 {machine.bf16:.0f} GFLOP/s, memory {machine.memory:.1f} GB/s")
    folder = _study(options.data)
    begin = time.perf_counter()
    detector = Detector(options.model)
    print(f"{detector.package.manifest.name} {detector.package.manifest.version}: loaded in {time.perf_counter() - begin:.2f} s")
    study = read_study(folder)
    print(f"{folder.name}: {study.volume.hu.shape} voxels of {[round(s, 2) for s in study.volume.grid.spacing_mm]} mm")
    print(f"folder to result: {_rounds(detector, folder, _ROUNDS)}")
    grown = {count: _in_memory(detector, _with_slices(study, count)) for count in _GROWTH}
    for count, stages in grown.items():
        print(f"{count} slices, in memory: {stages}")
    wide = _in_memory(detector, _with_slices(study, _SLICES, _WIDE_MM))
    print(f"{_SLICES} slices over {_WIDE_MM:.0f} x {_WIDE_MM:.0f} mm, in memory: {wide}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most: {peak:.0f} MiB, with {_GROWTH[-1]} slices of {_SIDE} x {_SIDE} in it")
    if options.torch:
        _winner(options.torch, grown[_SLICES], wide, _locating_networks(_with_slices(study, _SLICES)))
    if options.transfer:
        _transfer(study)


def _rounds(detector: Detector, folder: Path, rounds: int) -> Stages:
    """Runs some rounds from a folder of DICOM to a result."""
    found: list[dict[str, float]] = []
    for _ in range(rounds + 1):
        begin = time.perf_counter()
        study = read_study(folder)
        read = time.perf_counter() - begin
        found.append({"read": read, **detector(study).timings_s})
    return _median(found[1:])


def _in_memory(detector: Detector, study: Study) -> Stages:
    return _median([detector(study).timings_s for _ in range(_MORE_ROUNDS)])


def _median(found: list[dict[str, float]]) -> Stages:
    return Stages({name: statistics.median(one[name] for one in found) for name in found[0]})


def _with_slices(study: Study, count: int, field_mm: float | None = None) -> Study:
    """Returns the same neck in more or fewer slices over the same height; in a wider field air is around it."""
    grid = study.volume.grid.canonical()
    z, y, x = (grid.extent_mm[0], *((field_mm or side) for side in grid.extent_mm[1:]))
    wanted = Grid.upright(grid.centre_mm, (count, _SIDE, _SIDE), (z / count, y / _SIDE, x / _SIDE))
    volume = Volume(sample(study.volume, wanted).hu, wanted)
    return Study(name=f"{count} slices", volume=volume, study_uid=None, series_uid=None, orientation="axial")


def _study(data: Path) -> Path:
    """Returns a full-sized phantom with the number of slices that is wanted, or nearly."""
    if not (data / "train_images").is_dir():
        subprocess.run([sys.executable, "-m", "cspine", "phantom", str(data), *_PHANTOM], check=True)
    folders = [path for path in sorted((data / "train_images").iterdir()) if path.is_dir()]
    return min(folders, key=lambda folder: abs(len(list(folder.glob("*.dcm"))) - _SLICES))


def _locating_networks(study: Study) -> float:
    """Returns median seconds of the networks of the localiser alone."""
    rounds = [stages_s(study.volume, None) for _ in range(_MORE_ROUNDS + 1)][1:]
    return statistics.median(one["first network"] + one["second network"] for one in rounds)


def _winner(python: Path, ours: Stages, wide: Stages, locating: float) -> None:
    script = Path(__file__).with_name("winner.py")
    done = subprocess.run([str(python), str(script)], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    both = told["unet_s"] + told["slices_s"]
    networks = locating + ours.seconds["classify"]
    print(
        f"the winner's arrangement, PyTorch {told['torch']}, {told['threads']} threads: U-Net {told['unet_s']:.2f} s, "
        f"105 slices {told['slices_s']:.2f} s, together {both:.2f} s; "
        f"sampling {told['sampling_s']:.2f} s, cutting {told['cutting_s']:.2f} s"
    )
    whole = both + told["sampling_s"] + told["cutting_s"]
    print(
        f"all of ours on {_SLICES} slices in memory {ours.total:.2f} s: theirs {whole:.2f} s, {whole / ours.total:.1f} times, "
        f"in the wider field {whole / wide.total:.1f} times; "
        f"its networks alone {networks:.2f} s: {both / networks:.1f} times"
    )


def _transfer(study: Study) -> None:
    """Runs every slice of a study through a U-Net with InceptionResNetV2, as the recipe has it, with the engine that serves."""
    from tempfile import TemporaryDirectory

    from cspine.imaging.slices import network_input, slice_grid
    from cspine.recipes import load_slice_recipe
    from cspine.runtime import Engine, open_session
    from cspine.training.core.conversion import write_ir
    from cspine.training.core.settings import with_settings

    changes = {"network.backbone": "inception_resnet_v2", "network.weights": "none"}
    recipe = with_settings(load_slice_recipe("unet_transfer"), changes)
    stack = sample(study.volume, slice_grid(study.volume, recipe.input))
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "slices.xml"
        write_ir(recipe.network.build(recipe.input, 0), path)
        session = open_session(path, Engine())
        count = stack.grid.shape[0]
        begin = time.perf_counter()
        for first in range(0, count, 8):
            session.run(network_input(stack, recipe.input, range(first, min(first + 8, count))))
        seconds = time.perf_counter() - begin
    print(f"unet_transfer with inception_resnet_v2: {count} slices of {recipe.input.size} in {seconds:.1f} s, network alone")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set folder, or where to make a phantom")
    parser.add_argument("--model", default=None, metavar="PACKAGE", help="the package that classifies (default: the shipped one)")
    parser.add_argument("--torch", type=Path, metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--transfer", action="store_true", help="time a U-Net with InceptionResNetV2 too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
