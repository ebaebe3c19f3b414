"""Every object over the whole range of its parameters."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifold3d import Error

from tests.threed.parametric.build import arguments, built
from usina.apps.threed.mesh import measure
from usina.apps.threed.parametric.body import solid_of
from usina.apps.threed.parametric.catalogue import BY_NAME, THINGS
from usina.apps.threed.parametric.scene import compose
from usina.apps.threed.parametric.solid import box_of

NAMES = [thing.name for thing in THINGS]


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_it_is_one_closed_solid_whatever_its_parameters(name: str, data: st.DataObject) -> None:
    """Its union has no overlap left; it stands on the ground; as written, every edge lies between
    two triangles; and no part got lost."""
    thing = BY_NAME[name]
    body, _ = built(thing, data.draw(arguments(thing)) | thing.given)
    whole = solid_of(body)
    assert all(part.solid.status() == Error.NoError for part in body)
    assert not any(part.solid.is_empty() for part in body)
    low, high = box_of(whole)
    assert low[2] == pytest.approx(0, abs=1e-6 * float((high - low).max()))
    painted = compose([body]).painted
    written = measure(painted.points, painted.faces)
    assert written.watertight
    assert written.volume == pytest.approx(whole.volume(), rel=1e-3)
    assert written.bounds[:, 1] == pytest.approx([0, high[2]], abs=1e-5 * float(high[2]))
    assert np.linalg.norm(painted.normals, axis=1) == pytest.approx(1, abs=1e-3)
    assert set(painted.worn.tolist()) == set(range(len(painted.finishes)))


@pytest.mark.parametrize("name", NAMES)
def test_the_usual_one_is_closed_and_within_its_bounds(name: str) -> None:
    thing = BY_NAME[name]
    for parameter in thing.lengths:
        if parameter.default is not None:
            assert parameter.bound.low <= parameter.default <= parameter.bound.high
    body, kept = built(thing, {each.name: each.default for each in thing.parameters} | thing.given)
    assert kept == {each.name: each.default for each in thing.parameters} | thing.given
    painted = compose([body]).painted
    assert measure(painted.points, painted.faces).watertight
    assert len(painted.faces) < 60_000
