"""Where the eye stands, and what it sees where."""

from dataclasses import dataclass, replace
from math import cos, radians, sin

import numpy as np

from usina.apps.threed.interpolate import pixel_centres
from usina.imaging.array import Field

_FIELD_OF_VIEW = radians(24)


@dataclass(frozen=True, slots=True)
class Camera:
    """A pinhole at ``eye``; the rows of ``axes`` are right, up and towards the viewer. A point at
    camera coordinates ``(x, y, -d)`` falls on pixel ``centre + focal * (x, -y) / d``."""

    eye: Field
    axes: Field
    focal: float
    centre: Field
    width: int
    height: int

    def project(self, points: Field) -> Field:
        """``(n, 3)``: pixels to the right, pixels down, and one over the distance along the
        view."""
        seen = (points - self.eye) @ self.axes.T
        distance = -seen[:, 2:]
        flat = self.focal * seen[:, :2] * np.array([1, -1]) / distance + self.centre
        return np.concatenate([flat, 1 / distance], axis=1)

    def finer(self, times: float) -> "Camera":
        """The same view with about ``times`` as many pixels along each side."""
        width, height = round(self.width * times), round(self.height * times)
        return replace(
            self,
            focal=self.focal * times,
            centre=self.centre * np.array([width / self.width, height / self.height]),
            width=width,
            height=height,
        )

    def rays(self) -> Field:
        """``(height * width, 3)``: the unit direction through the centre of every pixel."""
        flat = (pixel_centres(self.height, self.width) - self.centre) / self.focal
        seen = np.column_stack([flat[:, 0], -flat[:, 1], np.full(len(flat), -1.0)])
        return (seen / np.linalg.norm(seen, axis=1, keepdims=True)) @ self.axes


def frame(points: Field, yaw: float, pitch: float, width: int, height: int, fill: float) -> Camera:
    """Look at ``points`` from ``yaw`` degrees to the right of the front and ``pitch`` above the
    ground, so that they fill the share ``fill`` of the picture."""
    yaw, pitch = radians(yaw), radians(pitch)
    towards = np.array([sin(yaw) * cos(pitch), sin(pitch), cos(yaw) * cos(pitch)])
    right = np.array([cos(yaw), 0.0, -sin(yaw)])
    axes = np.stack([right, np.cross(towards, right), towards])
    low, high = points.min(axis=0), points.max(axis=0)
    radius = float(np.linalg.norm(high - low)) / 2
    eye = (low + high) / 2 + towards * radius / sin(_FIELD_OF_VIEW / 2)
    unit = Camera(eye, axes, 1.0, np.zeros(2), width, height).project(points)[:, :2]
    low, high = unit.min(axis=0), unit.max(axis=0)
    focal = float((fill * np.array([width, height]) / (high - low)).min())
    centre = np.array([width, height]) / 2 - focal * (low + high) / 2
    return Camera(eye, axes, focal, centre, width, height)
