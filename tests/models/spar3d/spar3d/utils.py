from PIL import Image


def remove_background(image, bg_remover):
    if image.mode == "RGBA" and image.getextrema()[3][0] < 255:
        return image
    return bg_remover.process(image.convert("RGB"))


def foreground_crop(image_rgba, crop_ratio=1.3):
    box = image_rgba.getchannel("A").getbbox()
    assert box is not None, "Empty mask!"
    inner = image_rgba.crop(box)
    side = int(max(inner.size) * crop_ratio)
    placed = Image.new("RGBA", (side, side))
    placed.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
    return placed
