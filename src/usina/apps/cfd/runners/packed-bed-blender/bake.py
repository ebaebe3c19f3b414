"""Runs inside of Blender, 3.4 to 5: lets particles fall into a tube as rigid bodies.

``blender --background ... --python bake.py -- scene.json poses.json``. Lengths in scene.json are in
particle diameters, near which Bullet is at its best; it never sees millimetres. On the way it
prints lines ``USINA <frame> <frames> <fastest>``. Knows nothing but Blender's own modules.
"""

import json
import math
import sys
from pathlib import Path

import bpy
from mathutils import Euler

SUBSTEPS, ITERATIONS = 10, 40
FRICTION, RESTITUTION = 0.2, 0.1
WALL_SIDES, WALL_THICKNESS = 96, 0.5
LOOK_EVERY = 5
SHAPES = {"sphere": "SPHERE", "cube": "BOX", "cylinder": "CYLINDER", "ring": "COMPOUND"}


def main(scene_path, poses_path):
    told = json.loads(Path(scene_path).read_text(encoding="ascii"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, told["frames"]
    bpy.ops.rigidbody.world_add()
    world = scene.rigidbody_world
    world.substeps_per_frame, world.solver_iterations = SUBSTEPS, ITERATIONS
    world.collection = bpy.data.collections.new("bodies")
    world.point_cache.frame_start, world.point_cache.frame_end = 1, told["frames"]
    scene.gravity = (0.0, 0.0, -9.81)
    tube(told["radius"], told["tall"])
    floor(told["radius"])
    mesh = mesh_of("particle", told["points"], told["faces"])
    block = box("block", told["block"])
    bodies = [
        body(told, mesh, block, place, turn)
        for place, turn in zip(told["places"], told["turns"], strict=True)
    ]
    fastest = bake(scene, told, bodies)
    graph = bpy.context.evaluated_depsgraph_get()
    poses = [pose(one.evaluated_get(graph)) for one in bodies]
    answer = {"poses": poses, "frames": scene.frame_current, "fastest": fastest}
    Path(poses_path).write_text(json.dumps(answer), encoding="ascii")


def bake(scene, told, bodies):
    """Frame by frame, until nobody moves any more; how far the fastest moved in the last frames."""
    before, fastest = None, math.inf
    for frame in range(1, told["frames"] + 1):
        scene.frame_set(frame)
        if frame % LOOK_EVERY:
            continue
        graph = bpy.context.evaluated_depsgraph_get()
        places = [one.evaluated_get(graph).matrix_world.translation.copy() for one in bodies]
        if before is not None:
            moved = max((a - b).length for a, b in zip(places, before, strict=True))
            fastest = moved / LOOK_EVERY
        before = places
        sys.stdout.write(f"USINA {frame} {told['frames']} {min(fastest, 1e9):.6g}\n")
        sys.stdout.flush()
        if frame >= told["least_frames"] and fastest < told["still"]:
            break
    return fastest


def pose(evaluated):
    place, turn, _ = evaluated.matrix_world.decompose()
    return [*place, *turn]


def tube(radius, tall):
    """A thick ring around the tube: its inner polygon touches the circle from outside."""
    inner = radius / math.cos(math.pi / WALL_SIDES)
    outer = inner + WALL_THICKNESS
    points, faces = [], []
    for side in range(WALL_SIDES):
        turn = 2 * math.pi * side / WALL_SIDES
        x, y = math.cos(turn), math.sin(turn)
        points += [(out * x, out * y, up) for out in (inner, outer) for up in (-0.5, tall)]
    for side in range(WALL_SIDES):
        a, b = 4 * side, 4 * ((side + 1) % WALL_SIDES)
        faces += [
            (a, a + 1, b + 1, b),
            (a + 2, b + 2, b + 3, a + 3),
            (a + 1, a + 3, b + 3, b + 1),
            (a, b, b + 2, a + 2),
        ]
    rigid(add("tube", mesh_of("tube", points, faces)), "MESH", "PASSIVE")


def floor(radius):
    below = add("floor", box("floor", (radius + 2.0, radius + 2.0, 0.5)))
    below.location = (0.0, 0.0, -0.5)
    rigid(below, "BOX", "PASSIVE")


def box(name, halves):
    a, b, c = halves
    corners = [(x, y, z) for x in (-a, a) for y in (-b, b) for z in (-c, c)]
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return mesh_of(name, corners, faces)


def body(told, mesh, block, place, turn):
    """One particle; a ring is made of blocks, since bodies with a hole are slow and sink in."""
    one = add("particle", mesh)
    one.location = place
    one.rotation_mode = "QUATERNION"
    one.rotation_quaternion = Euler(turn).to_quaternion()
    rigid(one, SHAPES[told["shape"]], "ACTIVE")
    for turned, (x, y) in told["blocks"]:
        part = add("block", block)
        part.parent = one
        part.location = (x, y, 0.0)
        part.rotation_euler = (0.0, 0.0, turned)
        rigid(part, "BOX", "ACTIVE")
    return one


def add(name, mesh):
    one = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(one)
    return one


def rigid(one, shape, kind):
    bpy.context.scene.rigidbody_world.collection.objects.link(one)
    one.rigid_body.type = kind
    one.rigid_body.collision_shape = shape
    one.rigid_body.use_margin = True
    one.rigid_body.collision_margin = 0.0
    one.rigid_body.friction = FRICTION
    one.rigid_body.restitution = RESTITUTION


def mesh_of(name, points, faces):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points, [], faces)
    mesh.update()
    return mesh


main(*sys.argv[sys.argv.index("--") + 1 :])
