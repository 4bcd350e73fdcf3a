"""Counts what decoders do with damaged images: refuse them, decode something, crash, or never end.

``python -m benchmarks.fuzz.decoders`` changes bytes of small compressed images whose heads stay right, as they must for reading
to decode them at all, and decodes each in a process that may die. It is why reading has a process of its own
(docs/benchmarks.md).
"""

import argparse
import multiprocessing
import random
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

import imagecodecs
import numpy as np

from cspine.reading.codestreams import head_of

_SIDE = 64
_CODECS: dict[str, tuple[Callable[..., Any], dict[str, Any], Callable[[bytes], Any]]] = {
    "JPEG Lossless": (imagecodecs.jpeg_encode, {"lossless": True, "predictor": 1, "bitspersample": 12}, imagecodecs.jpeg_decode),
    "JPEG-LS": (imagecodecs.jpegls_encode, {}, imagecodecs.jpegls_decode),
    "JPEG 2000": (imagecodecs.jpeg2k_encode, {"level": 0, "reversible": True, "codecformat": "j2k"}, imagecodecs.jpeg2k_decode),
}


def main() -> None:
    """Prints a line for each decoder."""
    options = _arguments()
    for codec in _CODECS:
        seeds, found = iter(range(options.images)), Counter[str]()
        while _watched(codec, seeds, found, options.within):
            pass
        print(f"{codec:<15}{options.images} images: {', '.join(f'{found[name]} {name}' for name in sorted(found))}", flush=True)


def damaged(codec: str, seed: int) -> bytes | None:
    """Returns a compressed image with some bytes changed or its end missing; ``None`` where its head no longer fits."""
    image = np.random.default_rng(0).normal(1000, 200, (_SIDE, _SIDE)).clip(0, 4095).astype(np.uint16)
    encode, settings, _ = _CODECS[codec]
    data, chance = bytearray(encode(image, **settings)), random.Random(seed)
    for _ in range(chance.choice([1, 1, 2, 4, 16])):
        data[int(chance.random() ** chance.choice([1, 3]) * len(data))] = chance.randrange(256)
    if chance.random() < 0.3:
        del data[int(chance.random() * len(data)) :]
    head = head_of(bytes(data))
    fits = head is not None and (head.rows, head.columns, head.components) == (_SIDE, _SIDE, 1) and head.bits <= 16
    return bytes(data) if fits else None


def _watched(codec: str, seeds: Iterator[int], found: Counter[str], within_s: float) -> bool:
    """Hands images to one process until it dies or hangs, which is counted.

    Returns:
        Whether images are left.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_decode, args=(codec, theirs), daemon=True)
    process.start()
    theirs.close()
    for seed in seeds:
        ours.send(seed)
        try:
            if ours.poll(within_s):
                found[ours.recv()] += 1
                continue
            found["never ended"] += 1
        except (EOFError, OSError):
            found["crashed"] += 1
        process.kill()
        return True
    process.kill()
    return False


def _decode(codec: str, connection: Connection) -> None:
    while True:
        data = damaged(codec, connection.recv())
        if data is None:
            connection.send("refused by their heads")
            continue
        try:
            _CODECS[codec][2](data)
            connection.send("decoded")
        except Exception:  # each codec has errors of its own
            connection.send("refused")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000, help="damaged images for each decoder (default: 1000)")
    parser.add_argument("--within", type=float, default=20.0, help="seconds after which a decoder never ends (default: 20)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
