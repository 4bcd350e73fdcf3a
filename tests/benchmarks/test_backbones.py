"""The costs of the flagship's backbones, on small crops."""

from benchmarks.backbones import Cost, costs, table
from cspine.networks.options import VertebraBackbone
from cspine.networks.volume_settings import VertebraMILSettings
from cspine.specs import VertebraSpec

SPEC = VertebraSpec(spacing_mm=(1.0, 1.0, 1.0), depth=12, size=(64, 80), slices=2, neighbours=1, window_hu=(-200.0, 1800.0))
BOTH = (VertebraBackbone.OWN, VertebraBackbone.DENSENET121)


def test_a_backbone_of_photographs_costs_more_than_ours() -> None:
    own, densenet = costs(VertebraMILSettings(widths=(4, 4, 6, 8), width=8, heads=2), SPEC, BOTH, rounds=1, threads=1)

    assert (own.backbone, densenet.backbone) == BOTH
    assert own.seconds > 0
    assert own.weights < 10_000
    assert 4e6 < densenet.weights < 5e6  # blocks of DenseNet121 up to cells of 16 pixels
    assert densenet.multiplications > 50 * own.multiplications


def test_the_table_has_ratios_to_the_first() -> None:
    found = [Cost(BOTH[0], 500_000, 10**10, 0.5), Cost(BOTH[1], 4_300_000, 25 * 10**10, 6.0)]

    assert table(found).splitlines()[2:] == [
        "| `own` | 0.5 | 10.0 (1.0) | 0.50 (1.0) |",
        "| `densenet121` | 4.3 | 250.0 (25.0) | 6.00 (12.0) |",
    ]
