"""The 3D room: from one picture to a textured, watertight model, without trained weights.

A picture is decoded as hostile bytes (`picture`), its object is found (`mask`), turned into a
closed surface (`inflate`, `relief`), finished (`mesh`, `texture`), written (`export`) and drawn
(`preview`). Lengths inside are pixels of the working picture until `mesh` gives them metres.
"""
