"""What a bed is asked to be, and whether that can be."""

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from usina.apps.cfd.particles import Kind, Shape
from usina_runner import InvalidInput

Method: TypeAlias = Literal["gravity", "hexagonal"]
Stacking: TypeAlias = Literal["hcp", "fcc"]

USUAL_COUNT: Final = 200
MOST_COUNT: Final = 10_000

_DENSEST = 0.7405
_DENSE = 0.66
"""Shares that particles fill at best: in a crystal, and by chance."""


@dataclass(frozen=True, slots=True)
class Order:
    """A tube of ``diameter_m`` and ``height_m`` with ``count`` particles of one ``shape``, or with
    as many as lie below ``fill_m``; one of the two is null."""

    diameter_m: float
    height_m: float
    shape: Shape
    count: int | None
    fill_m: float | None
    target: float | None
    method: Method
    seed: int

    @property
    def most_count(self) -> int:
        """About as many as the tube can hold."""
        return int(_room(self) * _DENSE)

    def enough_for_fill(self) -> int:
        """More particles than can lie below the height that is asked for."""
        assert self.fill_m is not None
        tube = math.pi * self.diameter_m**2 / 4
        high = self.fill_m + self.shape.diameter_m
        return int(tube * high / self.shape.volume_m3 * _DENSE) + 2

    def refuse_height(self, needed_m: float, fitting: int) -> InvalidInput:
        """That the bed is higher than its tube."""
        return InvalidInput(
            "bed_too_high",
            f"{self.count} particles need a tube of {needed_m:.4g} m; this one is "
            f"{self.height_m:.4g} m high. {fitting} fit: ask for at most so many, for a higher or "
            "wider tube, or for smaller particles.",
        )


def read_order(params: dict[str, Any]) -> Order:
    """Of a job's parameters; raises ``InvalidInput`` for what can not be."""
    count, fill = params.get("particle_count"), params.get("packing_height_m")
    if count is not None and fill is not None:
        raise InvalidInput(
            "count_and_height", "Give particle_count or packing_height_m, not both of them."
        )
    order = Order(
        diameter_m=params["diameter_m"],
        height_m=params["height_m"],
        shape=_shape(params),
        count=USUAL_COUNT if count is None and fill is None else count,
        fill_m=fill,
        target=params.get("target_porosity"),
        method=params.get("method", "gravity"),
        seed=params["seed"],
    )
    _check_sizes(order)
    _check_count(order)
    return order


def _shape(params: dict[str, Any]) -> Shape:
    kind = cast("Kind", params.get("particle_shape", "sphere"))
    across: float = params["particle_diameter_m"]
    length: float = params.get("particle_length_m") or across
    if kind == "ring":
        bore: float = params.get("particle_inner_diameter_m") or 0.6 * across
        if bore >= across:
            raise InvalidInput(
                "bore_too_wide",
                f"A ring of {across:.4g} m can not have a bore of {bore:.4g} m; "
                "particle_inner_diameter_m is smaller than particle_diameter_m.",
            )
        return Shape(kind, across, length, bore)
    return Shape(kind, across, length if kind == "cylinder" else 0.0)


def _check_sizes(order: Order) -> None:
    widest = 2 * order.shape.reach_m
    if order.shape.kind == "sphere" and order.shape.diameter_m > order.diameter_m:
        raise InvalidInput(
            "particle_too_large",
            f"A particle of {order.shape.diameter_m:.4g} m does not fit into a tube of "
            f"{order.diameter_m:.4g} m.",
        )
    if order.shape.kind != "sphere" and widest > order.diameter_m:
        raise InvalidInput(
            "particle_too_large",
            f"A {order.shape.kind} that measures {widest:.4g} m from corner to corner can not turn "
            f"in a tube of {order.diameter_m:.4g} m.",
        )
    if widest > order.height_m:
        raise InvalidInput(
            "particle_too_large",
            f"A particle of {widest:.4g} m does not fit into a tube {order.height_m:.4g} m high.",
        )


def _check_count(order: Order) -> None:
    if order.fill_m is not None:
        if order.fill_m > order.height_m:
            raise InvalidInput(
                "bed_too_high",
                f"packing_height_m is {order.fill_m:.4g}; the tube is {order.height_m:.4g} m high.",
            )
        if order.fill_m < order.shape.diameter_m:
            raise InvalidInput(
                "bed_too_low", "packing_height_m is less than one particle's diameter."
            )
        likely = int(_room(order) * order.fill_m / order.height_m * 0.55)
        if likely > MOST_COUNT:
            high = order.fill_m * MOST_COUNT / likely
            raise InvalidInput(
                "too_many_particles",
                f"That is a bed of some {likely} particles; at most {MOST_COUNT} are packed. "
                f"They fill about {high:.3g} m: ask for less height, or for larger particles.",
            )
    elif order.count is not None and order.count > _room(order) * _limit(order):
        solid = order.count * order.shape.volume_m3
        needed = solid / (_limit(order) * math.pi * order.diameter_m**2 / 4)
        raise order.refuse_height(needed, order.most_count)


def _limit(order: Order) -> float:
    return _DENSEST if order.method == "hexagonal" or order.shape.kind == "cube" else _DENSE


def _room(order: Order) -> float:
    """How many particles have the volume of the tube."""
    return math.pi * order.diameter_m**2 / 4 * order.height_m / order.shape.volume_m3
