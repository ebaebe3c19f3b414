import rembg
from PIL import Image


def remove_background(image, session):
    if image.mode == "RGBA" and image.getextrema()[3][0] < 255:
        return image
    return rembg.remove(image, session=session)


def resize_foreground(image, ratio):
    box = image.getchannel("A").getbbox()
    if box is None:
        raise ValueError("zero-size array to reduction operation minimum which has no identity")
    inner = image.crop(box)
    side = int(max(inner.size) / ratio)
    placed = Image.new("RGBA", (side, side))
    placed.paste(inner, ((side - inner.width) // 2, (side - inner.height) // 2))
    return placed


def save_video(frames, output_path, fps):
    with open(output_path, "wb") as file:
        file.write(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
