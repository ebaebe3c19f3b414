"""Stable Diffusion pipelines of random numbers, small enough for tests, saved into a folder:

    python tiny.py FOLDER

Run by the Python of the diffusers engine; it knows nothing of the platform.
"""

import json
import sys
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    StableDiffusionImg2ImgPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import save_file
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

WORDS = ["a", "b", "c", "d", "e", "o", "r", "t", "portrait</w>", "oil</w>", "person</w>"]
WIDTH = 32


def tokenizer(folder):
    """Words of its own; every other one is unknown."""
    folder.mkdir(parents=True)
    letters = [chr(code) for code in range(97, 123)]
    known = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    (folder / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(known)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def unet():
    return UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=32,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )


def text_encoder():
    return CLIPTextModel(
        CLIPTextConfig(
            bos_token_id=0,
            eos_token_id=1,
            hidden_size=WIDTH,
            intermediate_size=37,
            num_attention_heads=4,
            num_hidden_layers=2,
            pad_token_id=1,
            vocab_size=54,
        )
    )


def image_encoder():
    return CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=WIDTH,
            projection_dim=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            intermediate_size=37,
            patch_size=8,
        )
    )


def adapter(network):
    """The weights of an IP-Adapter for the network, as its authors lay them out."""
    keys = {}
    attended = [name for name in network.attn_processors if name.endswith("attn2.processor")]
    for number, name in enumerate(attended):
        rows = network.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
        for part in ("to_k_ip", "to_v_ip"):
            keys[f"ip_adapter.{2 * number + 1}.{part}.weight"] = torch.randn(rows, WIDTH) / 9
    projection = torch.nn.Linear(WIDTH, WIDTH * 4)
    norm = torch.nn.LayerNorm(WIDTH)
    for name, layer in (("proj", projection), ("norm", norm)):
        for kind, values in layer.state_dict().items():
            keys[f"image_proj.{name}.{kind}"] = values.contiguous()
    return keys


def pipeline(network, words):
    return StableDiffusionImg2ImgPipeline(
        vae=AutoencoderKL(
            block_out_channels=(32, 64, 64, 64),
            in_channels=3,
            out_channels=3,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            norm_num_groups=8,
        ),
        text_encoder=text_encoder(),
        tokenizer=words,
        unet=network,
        scheduler=DDIMScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            clip_sample=False,
            set_alpha_to_one=False,
            steps_offset=1,
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def main(folder):
    """``plain`` is the pipeline alone, ``whole`` has a ControlNet and an IP-Adapter beside it."""
    torch.manual_seed(0)
    network = unet()
    pipe = pipeline(network, tokenizer(folder / "words"))
    for name in ("plain", "whole"):
        pipe.save_pretrained(folder / name)
    whole = folder / "whole"
    control = ControlNetModel.from_unet(network, conditioning_embedding_out_channels=(8, 8, 16, 16))
    control.save_pretrained(whole / "controlnet")
    image_encoder().save_pretrained(whole / "ip-adapter" / "image_encoder")
    CLIPImageProcessor(crop_size=32, size=32).save_pretrained(whole / "feature_extractor")
    save_file(adapter(network), whole / "ip-adapter" / "face.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
