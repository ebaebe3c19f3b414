"""What models that stay loaded do alike on a graphics card; imported in their own environments by
the files that `server` loads. Python 3.8 or newer, with torch."""

from contextlib import nullcontext

import torch


def check(device):
    """Raises where a card is asked for and torch sees none."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise RuntimeError("No CUDA GPUs are available")


def forget_peak(device):
    """`peak_mib` counts from here."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()


def peak_mib(device):
    """The most that torch held of the card's memory; null on the processor."""
    return torch.cuda.max_memory_allocated() / 1024 / 1024 if device.startswith("cuda") else None


def run_image(model, device, image, **options):
    """What the models of Stability AI make of a picture, in the precision of their own run.py."""
    forget_peak(device)
    precision = torch.autocast(device_type="cuda", dtype=torch.bfloat16)
    with torch.no_grad(), precision if device == "cuda" else nullcontext():
        return model.run_image([image], **options)
