"""Measures what people would otherwise run: the arrangement that won RSNA 2022, in PyTorch with random weights.

``python benchmarks/speed/winner.py`` times a 3-D U-Net at 128 x 128 x 128 whose encoder is like a ResNet18, and then 105 slices, 15
of each vertebra, of 224 x 224 in 6 channels through a network like EfficientNetV2-S. Weights do not matter for time, and no code is
taken from there: the layers follow the papers (He et al., 2016; Tan and Le, 2021). It needs ``pip install torch==2.13.0`` only, and
prints one line of JSON: median seconds of either part, of laying a scan of 320 slices of 512 x 512 on 128 x 128 x 128 voxels, and
of cutting slices, each a box around its vertebra at 224 x 224 with two neighbours on either side and the map of the vertebra.
"""

import json
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

_ROUNDS = 3
_SLICES, _AT_ONCE = 105, 15
_SCAN, _BOX, _SIDE, _BESIDE = (320, 512, 512), 160, 224, 2


class Basic(nn.Module):
    """Two convolutions beside a bridge, in space."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.work = nn.Sequential(
            nn.Conv3d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm3d(width),
        )
        other = nn.Sequential(nn.Conv3d(before, width, 1, stride, bias=False), nn.BatchNorm3d(width))
        self.bridge = nn.Identity() if before == width and stride == 1 else other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the same size, or half of it."""
        return torch.relu(self.work(x) + self.bridge(x))


class UNet(nn.Module):
    """A U-Net on an encoder like ResNet18, in three dimensions; 7 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(1, 64, 7, 2, 3, bias=False), nn.BatchNorm3d(64), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool3d(3, 2, 1)
        widths = (64, 128, 256, 512)
        self.stages = nn.ModuleList(
            nn.Sequential(Basic(before, width, 1 if i == 0 else 2), Basic(width, width))
            for i, (before, width) in enumerate(zip((64, 64, 128, 256), widths, strict=True))
        )
        self.rises = nn.ModuleList(
            nn.Sequential(nn.Conv3d(before, width, 3, 1, 1, bias=False), nn.BatchNorm3d(width), nn.ReLU(inplace=True))
            for before, width in ((512 + 256, 256), (256 + 128, 128), (128 + 64, 64), (64 + 64, 32), (32, 16))
        )
        self.head = nn.Conv3d(16, 7, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of ``(n, 1, 128, 128, 128)``."""
        bridges = [self.stem(x)]
        deep = self.pool(bridges[0])
        for stage in self.stages:
            deep = stage(deep)
            bridges.append(deep)
        sides = [bridges[3], bridges[2], bridges[1], bridges[0], None]
        for rise, side in zip(self.rises, sides, strict=True):
            deep = nn.functional.interpolate(deep, scale_factor=2.0, mode="nearest")
            deep = rise(deep if side is None else torch.cat([deep, side], 1))
        return self.head(deep)


class Block(nn.Module):
    """An inverted bottleneck, fused or not, with squeeze and excitation where it is not."""

    def __init__(self, before: int, width: int, growth: int, stride: int, *, fused: bool) -> None:
        super().__init__()
        wide = before * growth
        layers: list[nn.Module] = []
        if fused:
            layers += [nn.Conv2d(before, wide if growth > 1 else width, 3, stride, 1, bias=False)]
            layers += [nn.BatchNorm2d(wide if growth > 1 else width), nn.SiLU(inplace=True)]
            layers += [nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width)] if growth > 1 else []
        else:
            layers += [nn.Conv2d(before, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.SiLU(inplace=True)]
            layers += [nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False), nn.BatchNorm2d(wide), nn.SiLU(inplace=True)]
            layers += [Excite(wide, before // 4), nn.Conv2d(wide, width, 1, bias=False), nn.BatchNorm2d(width)]
        self.work = nn.Sequential(*layers)
        self.bridged = before == width and stride == 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the same size, or half of it."""
        return self.work(x) + x if self.bridged else self.work(x)


class Excite(nn.Module):
    """Squeeze and excitation (Hu et al., 2018)."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.scale = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, narrow, 1), nn.SiLU(inplace=True), nn.Conv2d(narrow, width, 1), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns scaled channels."""
        return x * self.scale(x)


STAGES = (
    (24, 1, 1, 2, True),
    (48, 4, 2, 4, True),
    (64, 4, 2, 4, True),
    (128, 4, 2, 6, False),
    (160, 6, 1, 9, False),
    (256, 6, 2, 15, False),
)
"""Width, growth, stride, depth, fused: EfficientNetV2-S."""


def efficientnet() -> nn.Module:
    """Returns a network like EfficientNetV2-S, on six channels."""
    layers: list[nn.Module] = [nn.Conv2d(6, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.SiLU(inplace=True)]
    before = 24
    for width, growth, stride, depth, fused in STAGES:
        for i in range(depth):
            layers.append(Block(before, width, growth, stride if i == 0 else 1, fused=fused))
            before = width
    layers += [nn.Conv2d(before, 1280, 1, bias=False), nn.BatchNorm2d(1280), nn.SiLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1))


def laid(scan: torch.Tensor) -> torch.Tensor:
    """Returns a scan in Hounsfield units as the U-Net sees it, ``(1, 1, 128, 128, 128)``."""
    seen = ((scan.float() + 1000) / 3000).clamp(0, 1)
    return nn.functional.interpolate(seen[None, None], (128, 128, 128), mode="trilinear")


def cut(scan: torch.Tensor, maps: torch.Tensor) -> list[torch.Tensor]:
    """Returns the slices of each of seven vertebrae that are classified, ``(15, 6, 224, 224)``."""
    found = []
    for level in range(7):
        first = 20 + 40 * level
        near = scan[first - _BESIDE : first + 2 * _AT_ONCE + _BESIDE, 160 : 160 + _BOX, 160 : 160 + _BOX].float()
        chosen = torch.stack([near[2 * i : 2 * i + 2 * _BESIDE + 1] for i in range(_AT_ONCE)])
        seen = nn.functional.interpolate(((chosen + 1000) / 3000).clamp(0, 1), (_SIDE, _SIDE), mode="bilinear")
        own = maps[0, level, 8 + 16 * level : 24 + 16 * level, 40:80, 40:80][None, None]
        mask = nn.functional.interpolate(own, (_AT_ONCE, _SIDE, _SIDE), mode="trilinear")[0, 0]
        found.append(torch.cat([seen, mask[:, None]], 1))
    return found


def median_s(work: Callable[[], object]) -> float:
    """Returns the median seconds of some rounds, after one that does not count."""
    taken = []
    for _ in range(_ROUNDS + 1):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def main() -> None:
    """Prints one line of JSON."""
    torch.manual_seed(0)
    space, slices = UNet().eval(), efficientnet().eval()
    scan = torch.randint(-1000, 1500, _SCAN, dtype=torch.int16)
    with torch.inference_mode():
        volume = laid(scan)
        maps = space(volume)
        batches = cut(scan, maps)
        found = {
            "sampling_s": median_s(lambda: laid(scan)),
            "unet_s": median_s(lambda: space(volume)),
            "cutting_s": median_s(lambda: cut(scan, maps)),
            "slices_s": median_s(lambda: [slices(batch) for batch in batches]),
        }
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), **found}))


if __name__ == "__main__":
    main()
