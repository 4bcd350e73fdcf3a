"""A vertebral body that lost height."""

from dataclasses import dataclass

import numpy as np

from cspine.phantoms.model.shapes import Field, Points
from cspine.phantoms.model.texture import value_noise

_FADE_MM = 4.0
"""Beyond the body's borders the loss fades over this length, so that pedicles and arch stay as they are."""


@dataclass(frozen=True, slots=True)
class Crush:
    """Loss of height under the upper end plate.

    Attributes:
        half_mm: Half width, half depth and half height of the body.
        front_mm: Height lost at the front.
        back_mm: Height lost at the back.
        lean: How much more is lost on the left than on the right, -1..1.
        seed: Which unevenness of the end plate.
    """

    half_mm: tuple[float, float, float]
    front_mm: float
    back_mm: float
    lean: float
    seed: int

    @property
    def most_mm(self) -> float:
        """Returns the farthest that any bone moved."""
        return 1.5 * max(self.front_mm, self.back_mm)

    def undo(self, points: Points) -> Points:
        """Raises the end plate again, and the bone below it with it; the lower end plate stays."""
        out = points.copy()
        loss, half = self._loss(points), np.float32(self.half_mm[2])
        share = (points[2] + half) / np.maximum(2 * half - loss, 0.5)  # 0 at the lower end plate, 1 at the upper one now
        out[2] += loss * np.clip(share, 0, 1)
        return out

    def density(self, points: Points, hu: Field) -> Field:
        """Returns HU of as much bone in less room; most of it in a band under the end plate."""
        loss, half = self._loss(points), np.float32(self.half_mm[2])
        top = half - loss
        band = np.exp(-(((points[2] - top + 0.3 * half) / (0.22 * half)) ** 2))
        denser = loss / (2 * half) * (0.7 + 3.0 * band)
        return np.asarray(hu + np.clip(900 - hu, 0, None) * np.clip(denser, 0, 0.8), dtype=np.float32)

    def _loss(self, points: Points) -> Field:
        wide, deep, _ = (np.float32(n) for n in self.half_mm)
        x, y = points[0], points[1]
        front = np.clip((deep - y) / (2 * deep), 0, 1)
        loss = np.float32(self.back_mm) + (self.front_mm - self.back_mm) * front
        loss = loss * (1 + np.float32(0.4 * self.lean) * np.clip(x / wide, -1, 1))
        loss = loss * (1 + np.float32(0.16) * value_noise(points * np.array([[1], [1], [0]], np.float32), 6.0, self.seed))
        inside = np.clip((wide + _FADE_MM - np.abs(x)) / _FADE_MM, 0, 1) * np.clip((deep + _FADE_MM - y) / _FADE_MM, 0, 1)
        return np.asarray(loss * inside, dtype=np.float32)
