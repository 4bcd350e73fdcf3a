"""Two scanners that send studies to a node, each in one of several ways, until every image was taken."""

import random
import threading
import time
from collections.abc import Sequence

from pydicom.dataset import Dataset

from tests.node.nodes import Series, send

WAYS = ("plain", "plain", "plain", "late", "twice", "aborted")
"""Ways in which a study comes in, as often as each is here."""

_LATE_S = (0.5, 5.0)
_AGAIN_S = 0.3


class Senders:
    """Sends studies, each with its way, spread over some time."""

    def __init__(self, port: int, studies: Sequence[tuple[Series, str]], seed: int, time_s: float, enough: threading.Event) -> None:
        """Prepares two threads.

        Args:
            port: Of the node.
            studies: What to send, and in which of :data:`WAYS`.
            seed: Decides when.
            time_s: Over how long.
            enough: From when it is set all that are left come in at once.
        """
        self._port, self._seed, self._enough, self._given_up = port, seed, enough, threading.Event()
        self._sending: set[int] = set()
        self._threads = [
            threading.Thread(target=self._send_all, args=(number, studies[number::2], time_s), daemon=True) for number in range(2)
        ]

    def start(self) -> None:
        """Begins to send."""
        for thread in self._threads:
            thread.start()

    def are_sending(self) -> bool:
        """Says whether an association is open at the moment."""
        return bool(self._sending)

    def are_done(self) -> bool:
        """Says whether all images were taken."""
        return not any(thread.is_alive() for thread in self._threads)

    def give_up(self) -> None:
        """Sends no more."""
        self._given_up.set()

    def _send_all(self, number: int, studies: Sequence[tuple[Series, str]], time_s: float) -> None:
        chance = random.Random(f"{self._seed} {number}")
        for study, way in studies:
            self._enough.wait(chance.uniform(0.0, 1.5 * time_s / len(studies)))
            images = study.images()
            cut = chance.randrange(1, len(images))
            if way == "late":
                self._send_surely(number, images[:cut])
                time.sleep(chance.uniform(*_LATE_S))
                self._send_surely(number, images[cut:])
                continue
            if way == "aborted":
                send(self._port, images[:cut], abort=True)
            for _ in range(2 if way == "twice" else 1):
                self._send_surely(number, images)

    def _send_surely(self, number: int, images: Sequence[Dataset]) -> None:
        """Sends images again and again until each was taken, as scanners do."""
        left = list(images)
        while left and not self._given_up.is_set():
            self._sending.add(number)
            answers = send(self._port, left)
            self._sending.discard(number)
            left = [image for image, answer in zip(left, [*answers, *[-1] * len(left)], strict=False) if answer != 0]
            time.sleep(_AGAIN_S if left else 0.0)
