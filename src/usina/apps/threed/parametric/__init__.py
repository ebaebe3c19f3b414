"""From words to exact solids.

A prompt is cut into words that are known (`lexicon`, `lexer`), read by a grammar (`grammar.lark`,
`prompt`), checked against what each object takes (`order`) and built out of exact solids (`shape`,
and a module for each kind of object). `catalogue` names them all. Lengths are metres, z is up and
the front looks towards -y until `scene` turns the whole into glTF's axes.
"""
