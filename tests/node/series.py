"""Series for tests of the store: no images, only what is known of them."""

from cspine.node.store import Store
from cspine.node.store.arrivals import enqueue
from cspine.node.store.nouns import Arrival, Claim, Finished, Parcel, Patient, Snapshot, State
from cspine.node.store.queue import claim

POSITIVE = Finished(
    State.DONE, probability=0.9, low=0.8, high=0.95, threshold=0.5, positive=True, package="coded", package_version="3"
)
NEGATIVE = Finished(State.DONE, probability=0.1, threshold=0.5, positive=False, package="coded", package_version="3")
SUSPICIOUS = Finished(State.DONE, probability=0.3, threshold=0.5, positive=False, package="coded", package_version="3")
FAILED = Finished(State.FAILED, code="pixels", reason="Pixels are needed. None came.")


def arrive(store: Store, name: str = "1", images: int = 10, hold_s: float = 0.0, **more: object) -> int | None:
    """Queues a series of so many images."""
    about = {"patient": Patient(patient_name=f"Name{name}", patient_id=f"ID{name}", accession=f"A{name}")} | more
    arrival = Arrival(f"1.2.{name}", f"1.9.{name}", "CT1", "ER", **about)  # type: ignore[arg-type]
    return enqueue(store, arrival, lambda: Snapshot(f"key{name}-{images}", f"digest{images}", images), hold_s)


def take(store: Store, owner: str = "worker", lease_s: float = 60.0, attempts: int = 5) -> Claim:
    """Claims a job that must be there."""
    claimed = claim(store, owner, lease_s, attempts)
    assert claimed is not None
    return claimed


def parcels(name: str, destination: str = "pacs") -> list[Parcel]:
    """Returns a report and a segmentation."""
    return [Parcel(destination, kind, f"2.25.{name}.{n}", "1.2.840", f"result_{kind}.dcm") for n, kind in enumerate(("sr", "seg"))]
