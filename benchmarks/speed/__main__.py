"""Measures how fast a study is predicted, stage by stage, beside the least that this machine allows.

``python -m benchmarks.speed --data DIR`` predicts one study of about 320 slices of 512 x 512, a phantom of full size, which is made
into DIR if nothing is there: stage by stage, medians, each beside its floor. That is what the multiplications of the networks' runs
take at the measured rate of matrix products, in the precision that the package asks for; what the bytes that must be moved take at
the measured rate of copying; and for reading what reading the files alone takes. Then it measures growth: the same neck in 100 to
1000 slices, in wider fields and in a body of a metre, and copies of the study in one call. ``--wide`` names a scan of a wide field.
``--torch`` names a Python that has PyTorch, and times what won RSNA 2022 beside it; ``--transfer N`` runs N slices through networks
with pretrained backbones, ``--full-resolution N`` N patches through a localiser as nnU-Net arranges it, both with random weights.
All in one run, one after the other. ``--json`` keeps all figures, ``--picture`` draws them.

``--writing`` times what writing the result takes instead, format by format, in processor seconds; ``--before`` names the ``src``
folder of an earlier state, which writes the same in the same turns. ``--preparing`` times reading and cropping in this way, beside
``--before``, and compares the arrays.
"""

import argparse
import json
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.localiser.speed import full_resolution
from benchmarks.speed import preparing, writing
from benchmarks.speed.floors import Floor, floors
from benchmarks.speed.growth import Row, with_larger_fields, with_more_slices, with_more_studies
from benchmarks.speed.machine import Machine, measure
from benchmarks.speed.stages import ORDER, Stages, from_folder, plain_s
from benchmarks.speed.subjects import SLICES, full_sized, with_slices
from cspine.detection import Detector
from cspine.modelpack import VertebraManifest
from cspine.reading import read_study
from cspine.study import Study


def main() -> None:
    """Prints what was measured."""
    options = _arguments()
    if options.writing or options.preparing:
        _compare(options)
        return
    machine = measure()
    print(f"machine: f32 {machine.f32:.0f} GFLOP/s, bf16 {machine.bf16:.0f} GFLOP/s, memory {machine.memory:.1f} GB/s", flush=True)
    folder = full_sized(options.data)
    begin = time.perf_counter()
    detector = Detector(options.model)
    print(f"{detector.package.manifest.name} {detector.package.manifest.version}: loaded in {time.perf_counter() - begin:.2f} s")
    study = read_study(folder)
    print(f"{folder.name}: {study.volume.hu.shape} voxels of {[round(s, 2) for s in study.volume.grid.spacing_mm]} mm")
    stages, watch, size = from_folder(detector, folder, options.format, options.rounds)
    least = floors(detector, watch, machine, files_s=plain_s(folder, options.rounds), written_bytes=size)
    figures: dict[str, Any] = {"machine": asdict(machine), "stages": _told(stages, least)}
    _keep(figures, options.json)
    slices = _grown(with_more_slices(detector, study, sorted({*options.slices, SLICES}), options.more_rounds))
    neck = next(row for row in slices if row.slices == SLICES)
    wider = _grown(with_larger_fields(detector, study, options.wide, options.more_rounds), neck)
    figures |= {"slices": [_figures(row) for row in slices], "field": [_figures(row) for row in (neck, *wider)]}
    _keep(figures, options.json)
    print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")
    figures["studies"] = _studies(folder, options.studies)
    figures |= _peers(options, study, neck, wider[0], machine)
    _keep(figures, options.json)
    if options.picture:
        from benchmarks.speed.picture import draw

        draw(figures, options.picture)


def _compare(options: argparse.Namespace) -> None:
    """Prints what parts take beside an earlier state."""
    folder, detector = full_sized(options.data), Detector(options.model)
    study = read_study(folder)
    if options.writing:
        writing.compare(detector.predict(study), study, options.before, options.rounds)
    if options.preparing:
        manifest = detector.package.manifest
        if not isinstance(manifest, VertebraManifest):
            raise SystemExit(f"Packages that classify vertebra by vertebra crop them. Received: {manifest.name}.")
        preparing.compare(folder, detector.localiser(study), manifest, options.before, options.rounds)


def _keep(figures: dict[str, Any], path: Path | None) -> None:
    """Writes what there is so far, as all of it takes long."""
    if path:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _told(stages: Stages, least: dict[str, Floor]) -> list[dict[str, Any]]:
    """Prints and returns the stages beside their floors."""
    rows = []
    for name in (name for name in ORDER if name in stages.seconds):
        floor, seconds = least.get(name), stages.seconds[name]
        rows.append(
            {
                "name": name,
                "seconds": seconds,
                "floor_s": floor and floor.seconds,
                "floor_counts": floor.counts if floor else "nothing",
            }
        )
        beside = f"{floor.seconds:7.3f} s  {seconds / floor.seconds:6.1f} times  {floor.counts}" if floor else "      - "
        print(f"{name:<16}{seconds:7.3f} s  floor {beside}")
    known = sum(floor.seconds for floor in least.values())
    print(f"{'all':<16}{stages.total:7.3f} s  floor {known:7.3f} s  {stages.total / known:6.1f} times", flush=True)
    return rows


def _grown(rows: Any, neck: Row | None = None) -> list[Row]:
    found = []
    for row in rows:
        found.append(row)
        print(f"{row.name}, in memory: {row.stages}", flush=True)
        if neck:
            print(row.times(neck), flush=True)
    return found


def _figures(row: Row) -> dict[str, Any]:
    stages = row.stages
    return {
        "name": "neck" if row.name == f"{SLICES} slices" else row.name,
        "slices": row.slices,
        "seconds": stages.total,
        "processor_seconds": stages.processor_seconds,
        "stages": stages.seconds,
    }


def _studies(folder: Path, counts: Sequence[int]) -> list[dict[str, Any]]:
    found = []
    for count, seconds, busy in with_more_studies(folder, counts):
        found.append({"studies": count, "seconds": seconds, "processor_seconds": busy})
        print(f"{count} in one call: {seconds / count:.2f} s a study, of processors {busy / count:.2f}", flush=True)
    return found


def _peers(options: argparse.Namespace, study: Study, neck: Row, wide: Row, machine: Machine) -> dict[str, Any]:
    """Prints and returns what others take, where they are asked for."""
    found: dict[str, Any] = {}
    if options.torch:
        found["winner"] = _winner(options.torch, neck.stages, wide.stages)
    if options.full_resolution:
        count, sampling, network = full_resolution(with_slices(study, SLICES).volume, options.full_resolution)
        found["full_resolution"] = {"patches": count, "sampling_s": sampling, "network_s": network}
        print(
            f"a localiser of full resolution: sampling {sampling:.2f} s, {count} patches {network:.1f} s "
            f"(from {min(options.full_resolution, count)}), {(sampling + network) / neck.stages.locate:.1f} times ours",
            flush=True,
        )
    if options.transfer:
        from benchmarks.speed.transfer import ROWS, measured

        found["transfer"] = []
        for name in ROWS:
            family = measured(name, study, options.transfer)
            found["transfer"].append(asdict(family) | {"seconds": family.seconds, "floor_s": family.floor_s(machine.f32)})
            print(
                f"{name}: {family.slices} slices {family.seconds:.1f} s, network alone (from {family.timed}), "
                f"floor {family.floor_s(machine.f32):.1f} s",
                flush=True,
            )
    return found


def _winner(python: Path, ours: Stages, wide: Stages) -> dict[str, Any]:
    script = Path(__file__).with_name("winner.py")
    done = subprocess.run([str(python), str(script)], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    both = answer["unet_s"] + answer["slices_s"]
    whole = both + answer["sampling_s"] + answer["cutting_s"]
    print(
        f"the winner's arrangement, PyTorch {answer['torch']}, {answer['threads']} threads: U-Net {answer['unet_s']:.2f} s, "
        f"105 slices {answer['slices_s']:.2f} s, together {both:.2f} s; "
        f"sampling {answer['sampling_s']:.2f} s, cutting {answer['cutting_s']:.2f} s"
    )
    print(
        f"all of ours on {SLICES} slices in memory {ours.total:.2f} s: theirs {whole:.2f} s, {whole / ours.total:.1f} times, "
        f"in the wider field {whole / wide.total:.1f} times; "
        f"its networks alone {ours.networks:.2f} s: {both / ours.networks:.1f} times",
        flush=True,
    )
    return answer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="a data set folder, or where to make a phantom")
    parser.add_argument("--model", default=None, metavar="PACKAGE", help="the package that classifies (default: the shipped one)")
    parser.add_argument("--format", default="json,png", help="formats that are written (default: json,png)")
    parser.add_argument("--rounds", type=int, default=5, help="how often from files to files (default: 5)")
    parser.add_argument("--more-rounds", type=int, default=3, help="how often each scan in memory (default: 3)")
    parser.add_argument("--slices", type=int, nargs="*", default=[100, 200, 640, 1000], help="numbers of slices")
    parser.add_argument("--studies", type=int, nargs="*", default=[1, 2, 4, 8], help="numbers of studies in one call")
    parser.add_argument("--wide", type=Path, metavar="STUDY", help="a scan of a wide field")
    parser.add_argument("--torch", type=Path, metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--transfer", type=int, metavar="N", help="run N slices through networks with pretrained backbones")
    parser.add_argument("--full-resolution", type=int, metavar="N", help="run N patches through a localiser of full resolution")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw them (.png)")
    parser.add_argument("--writing", action="store_true", help="time writing the result, format by format, and nothing else")
    parser.add_argument("--preparing", action="store_true", help="time reading and cropping beside --before, and nothing else")
    parser.add_argument("--before", type=Path, metavar="SRC", help="src folder of an earlier state of cspine")
    options = parser.parse_args()
    if options.preparing and not options.before:
        parser.error("--preparing compares with an earlier state: name its src folder with --before")
    return options


if __name__ == "__main__":
    main()
