"""As much of xatlas as TripoSR's run.py asks of it: an OBJ with places in a picture."""


def export(path, positions, indices, uvs, normals):
    lines = [f"v {x:f} {y:f} {z:f}" for x, y, z in positions]
    lines += [f"vt {u:f} {v:f}" for u, v in uvs]
    lines += [f"vn {x:f} {y:f} {z:f}" for x, y, z in normals]
    lines += ["f " + " ".join(f"{n + 1}/{n + 1}/{n + 1}" for n in face) for face in indices]
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")
