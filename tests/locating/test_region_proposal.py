"""Passes on small voxels go to where a pass on larger voxels sees vertebrae."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.geometry import Grid
from cspine.locating.coarse_to_fine import locate
from cspine.locating.region_proposal import REGION_VOXEL, SMALLER_REGION_VOXEL, ProposedRegion, propose_regions
from cspine.specs import VolumeSpec
from cspine.volume import Volume

SPEC = VolumeSpec(spacing_mm=(2.5, 2.5, 2.5), size=(32, 32, 32), window_hu=(0.0, 1000.0))


class Dense:
    """A network to which what is denser than 300 HU is another vertebra, and how many voxels it saw."""

    def __init__(self) -> None:
        self.voxels = 0

    def run(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        self.voxels += batch.size
        found = np.zeros((*batch.shape[:4], 10), np.float32)
        dense = batch[..., 0] > 0.3
        found[..., 8], found[..., 0] = dense, ~dense
        return {"levels": found}


def scan(side_mm: int, *bones: tuple[int, int, int]) -> Volume:
    """Returns soft tissue with columns of bone 60 mm high, each around a place in mm from the middle, ``(z, y, x)``."""
    count = side_mm // 4
    grid = Grid.upright((0, 0, 0), (count, count, count), (4.0, 4.0, 4.0))
    hu = np.full(grid.shape, 50, np.float32)
    for z, y, x in bones:
        k, j, i = (round(count / 2 + away / 4) for away in (z, y, x))
        hu[k - 8 : k + 8, j - 3 : j + 3, i - 3 : i + 3] = 600
    return Volume(hu, grid)


def test_what_one_window_covers_is_one_region_and_no_pass_is_spent_on_it() -> None:
    network = Dense()

    (region,) = propose_regions(scan(80, (0, 0, 0)), SPEC, network)

    assert network.voxels == 0
    assert region.vertebrae is None
    assert region.grid.shape == SPEC.size


def test_each_place_with_vertebrae_is_a_region_and_the_rest_is_none() -> None:
    places = [(100, -100, 60), (-90, 80, -100)]

    regions = propose_regions(scan(400, *places), SPEC, Dense())

    assert len(regions) == 2
    for region in regions:
        x, y, z = region.grid.centre_mm
        assert min(np.linalg.norm(np.subtract((z, y, x), place)) for place in places) < 8
        assert np.prod(region.grid.extent_mm) < 0.04 * 400**3
        assert region.vertebrae is not None
        assert region.vertebrae.labels.any()


def test_the_cost_of_all_passes_follows_the_spine_and_not_the_field_of_view() -> None:
    costs = {}
    for side in (240, 480):
        network = Dense()
        locate(scan(side, (0, 0, 0)), SPEC, network, 0.6)
        costs[side] = network.voxels

    assert costs[480] < 3 * costs[240], "eight times the volume"


def test_a_large_scan_without_vertebrae_has_no_region() -> None:
    network = Dense()

    assert propose_regions(scan(400), SPEC, network) == ()
    located = locate(scan(400), SPEC, network, 0.6)
    assert located.vertebrae == ()
    assert not located.labels.labels.any()


@pytest.mark.parametrize("count", [7, 9])
def test_there_are_no_more_regions_than_a_body_has_limbs_and_spine(count: int) -> None:
    places = [(80 * (n // 3) - 80, 100 * (n % 3) - 100, 0) for n in range(count)]

    assert len(propose_regions(scan(480, *places), SPEC, Dense())) == 6


@pytest.mark.parametrize(("side_mm", "passes"), [(400, [REGION_VOXEL, SMALLER_REGION_VOXEL]), (80, [REGION_VOXEL])])
def test_a_large_scan_that_shows_no_neck_is_looked_at_again_on_smaller_voxels(
    monkeypatch: pytest.MonkeyPatch, side_mm: int, passes: list[float]
) -> None:
    sizes = []

    def proposed(volume: Volume, spec: VolumeSpec, session: Dense, voxel: float) -> tuple[ProposedRegion, ...]:
        sizes.append(voxel)
        return propose_regions(volume, spec, session, voxel)

    monkeypatch.setattr("cspine.locating.coarse_to_fine.propose_regions", proposed)

    locate(scan(side_mm, (0, 0, 0)), SPEC, Dense(), 0.6)

    assert sizes == passes
