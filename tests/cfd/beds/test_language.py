"""The `.bed` format: the origin's example, every mistake with its line and column, a round trip."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usina.apps.cfd.bed.language.reader import read_bed
from usina.apps.cfd.bed.language.vocabulary import SECTIONS, Dimension
from usina.apps.cfd.bed.language.writer import write_bed
from usina.apps.cfd.bed.plan import BedPlan, read_plan
from usina.kernel.errors import Invalid

SCHEMA = BedPlan.model_json_schema()
BLANK = read_plan({"name": "blank"})
MEASURES = {"diameter_m", "height_m", "particle_diameter_m", "particle_count", "packing_height_m"}
EXAMPLE = """
// a small bed of the origin
bed { diameter = 5 cm; height = 0.1 m; wall_thickness = 2 mm; material = "steel"; }
lids { top_type = "flat"; bottom_type = none; top_thickness = 3e-3 m; }
particles {
    kind = "sphere"; diameter = 5 mm; count = 100; /* of
    glass */ density = 2500.0 kg/m3; mass = 0.2 g; restitution = 0.3; friction = 0.5; seed = 42;
}
packing { method = "spherical_packing"; gravity = -9.81 m/s2; substeps = 10; max_time = 5.0 s; }
export { formats = ["stl_binary", "obj"]; wall_mode = "surface"; manifold_check = true; }
cfd { regime = laminar; inlet_velocity = 0.1 m/s; fluid_viscosity = 1.8e-05 Pa.s; }
"""


def test_the_example_of_the_origin_is_read_in_si_units() -> None:
    bed = read_bed(EXAMPLE, BLANK)

    assert (bed.diameter_m, bed.height_m, bed.wall_thickness_m) == (0.05, 0.1, 0.002)
    assert (bed.particle_diameter_m, bed.particle_count, bed.seed) == (0.005, 100, 42)
    assert (bed.particles.density_kg_m3, bed.particles.mass_kg) == (2500.0, 0.0002)
    assert (bed.lids.top_type, bed.lids.bottom_type) == ("flat", "none")
    assert (bed.method, bed.packing.gravity_m_s2) == ("gravity", -9.81)
    assert bed.export.formats == ["stl_binary", "obj"]
    assert bed.cfd.fluid_viscosity_pa_s == 1.8e-5
    assert read_bed('packing { method = "rigid_body"; }', BLANK).generator == "packed-bed-blender"
    assert read_bed('packing { method = "hexagonal_3d"; }', BLANK).method == "hexagonal"


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("", "bed_syntax", "line 1, column 1: there is no section"),
        ("bed { diameter = 5 cm", "bed_syntax", "column 20: the text ends"),
        (
            "bed {\n diameter = \u22125 cm; }",
            "bed_syntax",
            r"line 2, column 13: the character '\u2212'",
        ),
        ("bed { diameter = nan m; }", "bed_syntax", "column 22: 'm' can not stand here"),
        ("bed { diameter 5 cm; }", "bed_syntax", "column 16"),
        (
            "bed { diamter = 5 cm; }",
            "bed_word",
            "column 7: no 'diamter' in bed. Did you mean 'diam",
        ),
        ("bett { }", "bed_word", "column 1: no section 'bett'"),
        (
            "bed { height = 1 m; height = 2 m; }",
            "bed_word",
            "column 21: height of bed stands twice",
        ),
        ("bed { diameter = 5; }", "bed_unit", "diameter needs its unit: m, cm, mm"),
        ("bed { diameter = 5 kg; }", "bed_unit", "'kg' is a unit of mass; diameter is a length"),
        ("bed { diameter = 5 inch; }", "bed_unit", "'inch' is no unit"),
        ("particles { count = 10 m; }", "bed_unit", "count has no unit"),
        ("particles { count = 1.5; }", "bed_value", "count takes a whole number"),
        ("bed { diameter = 1e999 m; }", "bed_value", "out of range"),
        (f"bed {{ diameter = {'1' * 50} m; }}", "bed_value", "more than 40 characters"),
        ("bed { diameter = true; }", "bed_value", "diameter takes a number with a unit such as m"),
        ('export { manifold_check = "true"; }', "bed_value", "takes true or false"),
        ("bed { diameter = 5 m; }", "validation_failed", "line 1, column 7: "),
        ('bed {\n\n material = "#codeStream"; }', "validation_failed", "line 3, column 2: "),
        ("export { formats = []; }", "validation_failed", "line 1, column 10: "),
        ("particles { kind = ring; count = 0; }", "validation_failed", "line 1, column 26: "),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(text: str, code: str, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_bed(text, BLANK)

    assert caught.value.code == code
    assert told in caught.value.errors[0].message


@st.composite
def plans(draw: st.DrawFn) -> BedPlan:
    """Beds with any of the words of the format, by the bounds of the fields themselves."""
    said: dict[str, Any] = {"name": "blank"}
    for entries in SECTIONS.values():
        for entry in entries.values():
            if draw(st.booleans()):
                into = said
                for part in entry.path[:-1]:
                    into = into.setdefault(part, {})
                into[entry.path[-1]] = draw(_values(entry.path))
    said.pop("packing_height_m" if draw(st.booleans()) else "particle_count", None)
    said.get("packing", {}).pop("method", None)
    try:
        return read_plan(said)
    except Invalid:  # measures that are no bed together
        return read_plan({name: said[name] for name in said.keys() - MEASURES})


def _values(path: tuple[str, ...]) -> st.SearchStrategy[Any]:
    schema: Any = SCHEMA
    for part in path:
        properties = schema.get("properties") or _schema_of(schema)["properties"]
        schema = properties[part]
    options = schema.get("anyOf", [schema])
    kind = next(option for option in options if option.get("type") != "null")
    if "enum" in kind:
        return st.sampled_from(kind["enum"])
    low, high = kind.get("minimum"), kind.get("maximum")
    match kind["type"]:
        case "number":
            return st.floats(
                low if low is not None else kind.get("exclusiveMinimum", 0.0) + 1e-9,
                high if high is not None else kind.get("exclusiveMaximum", 1.0),
                exclude_max=high is None,
            )
        case "integer":
            return st.integers(low, high)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(st.sampled_from(kind["items"]["enum"]), min_size=1, max_size=4)
        case _:
            return st.sampled_from(["steel", "glass 3.3", "a#1 \u00e7"])


def _schema_of(schema: dict[str, Any]) -> dict[str, Any]:
    name = (schema.get("$ref") or schema["allOf"][0]["$ref"]).rpartition("/")[2]
    return SCHEMA["$defs"][name]


@given(plans())
def test_what_is_written_reads_as_the_same_bed(plan: BedPlan) -> None:
    assert read_bed(write_bed(plan), BLANK) == plan


def test_every_word_has_a_place_in_a_bed() -> None:
    told = BLANK.model_dump()
    for entries in SECTIONS.values():
        for entry in entries.values():
            value: Any = told
            for part in entry.path:
                value = value[part]
            assert not isinstance(value, dict)
            assert isinstance(entry.value, Dimension) == entry.path[-1].endswith(
                ("_m", "_kg", "_s", "_m3", "_s2")
            )
