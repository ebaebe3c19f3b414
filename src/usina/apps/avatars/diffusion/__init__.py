"""A portrait painted by a diffusion model: what is asked of it, and the two engines that answer."""
