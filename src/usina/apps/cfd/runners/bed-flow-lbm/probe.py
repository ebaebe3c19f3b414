"""Compiles the kernels where their machine code is kept, so that no job has to."""

from usina.apps.cfd.lattice.kernel import compile_all

compile_all()
