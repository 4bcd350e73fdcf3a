"""A data set of phantoms: many studies at once, the same bytes whichever process makes which, whole ones only."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from cspine.concurrency.threads import alone
from cspine.errors import OutputError
from cspine.phantoms.dataset.claims import CollectionKind, claimed, write_tables
from cspine.phantoms.dataset.layout import Shares, Size
from cspine.phantoms.dataset.rsna import StudyPaths, SubjectSampler, make_study
from cspine.phantoms.dataset.truth import StudyTruth, box_rows, label_rows, read_truth, submission_rows, task_rows
from cspine.phantoms.dataset.workers import workers
from cspine.storage.files import clear_unfinished

GENERATION = 3
"""Grows whenever the same seed would give other bytes."""

UID_ROOT = "1.2.826.0.1.3680043."
_FIRST_NUMBER = 1_000_000
"""Beyond the numbers of patients, so that a phantom is never taken for one."""

_NUMBERS = 1_999_999_973
_STRIDE = 1_234_567_891
"""Both prime: ``_STRIDE`` walks through all numbers before one comes again."""

_KIND = CollectionKind("phantoms", "phantoms.json", ".phantoms.lock")


@dataclass(frozen=True, slots=True)
class Plan:
    """Says what a data set of phantoms consists of.

    Attributes:
        root: Its folder.
        studies: Labelled studies.
        test_studies: Studies without labels.
        seed: Says everything about every study; more studies do not change the first ones.
        size: How finely they are scanned.
        shares: How many come with masks and boxes.
        sampler: Samples a subject; it must be importable, as workers load it by its name.
    """

    root: Path
    studies: int
    test_studies: int
    seed: int
    size: Size
    shares: Shares
    sampler: SubjectSampler

    def settings(self) -> dict[str, object]:
        """Returns what must be the same for a study to be the same."""
        sampled = self.sampler.keywords if isinstance(self.sampler, partial) else {}
        facts = {"generation": GENERATION, "seed": self.seed, "size": self.size.value, **asdict(self.shares)}
        return facts | {name: _fingerprint(value) for name, value in sampled.items()}

    def places(self) -> list[StudyPaths]:
        """Returns every study, labelled ones first."""
        return [self.place(index) for index in range(self.studies + self.test_studies)]

    def place(self, index: int) -> StudyPaths:
        """Returns the study that :meth:`places` lists at ``index``."""
        if index < self.studies:
            return StudyPaths(self.root, study_uid(self.seed, 2 * index))
        return StudyPaths(self.root, study_uid(self.seed, 2 * (index - self.studies) + 1), "test_images")

    def study_seed(self, index: int) -> np.random.SeedSequence:
        """Returns the seed of the study that :meth:`places` lists at ``index``."""
        test = index >= self.studies
        return np.random.SeedSequence(self.seed, spawn_key=(int(test), index - self.studies if test else index))


def _fingerprint(value: object) -> str:
    """Returns a digest of the content of a file, as it may lie elsewhere tomorrow."""
    return sha256(value.read_bytes()).hexdigest() if isinstance(value, Path) else str(value)


def study_uid(seed: int, number: int) -> str:
    """Returns a Study Instance UID such as those of the RSNA data; different for different numbers."""
    start = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return f"{UID_ROOT}{_FIRST_NUMBER + (start + number * _STRIDE) % _NUMBERS}"


Makers = Callable[[Plan, Sequence[int]], Iterator[object]]
"""Makes the studies that :meth:`Plan.places` lists at some indices, by :func:`make_at`, and yields something for each."""


def make_collection(plan: Plan, makers: int | Makers) -> Iterator[bool]:
    """Makes what is missing of a data set, one study after the other, and then its tables.

    Args:
        plan: What it consists of.
        makers: So many processes of this machine, or what makes studies elsewhere, into the same folder.

    Yields:
        For every study whether it was made now; ``False`` where it was there already.

    Raises:
        OutputError: The folder holds phantoms of other settings, or cannot be written.
    """
    with claimed(plan.root, _KIND, plan.settings()):
        _refuse_fewer(plan)
        clear_unfinished(plan.root)
        places = plan.places()
        missing = [index for index, place in enumerate(places) if not place.is_complete()]
        try:
            yield from (False for _ in range(len(places) - len(missing)))
            yield from _made(plan, missing, makers) if isinstance(makers, int) else _made_elsewhere(plan, missing, makers)
        finally:
            clear_unfinished(plan.root)
            _write_tables(plan, places)


def make_at(plan: Plan, index: int) -> None:
    """Makes one study of a data set, the same bytes wherever and after whatever it is made."""
    with alone():
        _make(plan, index)


def _made_elsewhere(plan: Plan, missing: list[int], makers: Makers) -> Iterator[bool]:
    for _ in makers(plan, missing):
        yield True
    lost = [place.uid for index in missing if not (place := plan.place(index)).is_complete()]
    if lost:
        raise OutputError(
            f"{len(lost)} of {len(missing)} studies that were made are not in {plan.root} here. "
            "Give a folder that all machines see."
        )


def _made(plan: Plan, missing: list[int], jobs: int) -> Iterator[bool]:
    if not missing:
        return
    with workers(min(jobs, len(missing))) as pool:
        waiting: set[Future[StudyTruth]] = set()
        ahead = iter(missing)
        try:
            while True:
                for index in _up_to(ahead, 2 * jobs - len(waiting)):
                    waiting.add(pool.submit(_make, plan, index))
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    yield True
        except BrokenProcessPool as error:
            raise OutputError(
                f"{plan.root} is not finished: a worker died, perhaps for lack of memory. Try fewer --jobs."
            ) from error


def _make(plan: Plan, index: int) -> StudyTruth:
    shares = Shares(masks=0, boxes=0) if index >= plan.studies else plan.shares
    return make_study(plan.place(index), plan.study_seed(index), plan.sampler, plan.size, shares)


def _up_to(items: Iterator[int], count: int) -> Iterator[int]:
    for _ in range(count):
        item = next(items, None)
        if item is None:
            return
        yield item


def _refuse_fewer(plan: Plan) -> None:
    there = {path.name for path in (plan.root / "truth").glob("*")}
    more = len(there - {place.uid for place in plan.places()})
    if more:
        raise OutputError(
            f"{plan.root} holds {more} more studies than were asked for. Ask for at least as many, or give another folder."
        )


def _write_tables(plan: Plan, places: list[StudyPaths]) -> None:
    """Writes the four tables, of the studies that are complete."""
    train, test = (
        [read_truth(p.truth) for p in places if p.images == kind and p.is_complete()] for kind in ("train_images", "test_images")
    )
    write_tables(
        plan.root,
        {
            "train.csv": label_rows(train),
            "train_bounding_boxes.csv": box_rows(train),
            "test.csv": task_rows(test),
            "sample_submission.csv": submission_rows(test),
        },
    )
