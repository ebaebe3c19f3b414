"""The 3D room: watertight models from a picture or from words, without trained weights.

A picture is decoded as hostile bytes (`picture`), its object is found (`mask`), turned into a
closed surface (`inflate`, `relief`) and finished (`mesh`, `texture`); words become exact solids
(`parametric`). Both are written (`gltf`, `wavefront`) and drawn (`preview`). Lengths of a picture
are pixels until `surface` gives them metres.
"""
