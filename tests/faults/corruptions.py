"""Damage to images, masks, COCO's json and class folders: a small function for each kind, with what must come of it.

Each table holds functions of an intact thing and a generator of random numbers, by the name of the damage.
"""
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from PIL import ExifTags, Image

# how an upright image is stored under each orientation of EXIF
_STORED = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_270}


@dataclass(frozen=True)
class Corrupted:
    """A damaged file and what must come of it.

    Attributes:
        content: The file.
        seen: What it shows: an RGB image, or a mask's numbers (H, W). None if it must be refused.
        seen_by_opencv: What it shows where OpenCV reads it, if that is something else.
        any_pixels: The damage cannot be told from a picture: right labels or a refusal, whatever the pixels.
    """
    content: bytes
    seen: Image.Image | np.ndarray | None = None
    any_pixels: bool = False
    seen_by_opencv: Image.Image | None = None


def encode(image: Image.Image, kind: str = 'JPEG', **kwargs) -> bytes:
    """A file of an image."""
    file = BytesIO()
    image.save(file, kind, **(dict(quality=95) if kind in ('JPEG', 'MPO', 'WEBP') else {}) | kwargs)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """A PNG that declares whatever is wanted, with right check sums."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0))
            + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b''))


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    """The first 5 to 95 % of a file."""
    return content[:int(len(content) * rng.uniform(0.05, 0.95))]


def flip(content: bytes, rng: np.random.Generator, start: int = 0, end: int = 0) -> bytes:
    """A file with 1 to 20 of its bytes changed, those between two places."""
    changed = np.frombuffer(content, np.uint8).copy()
    places = rng.choice(np.arange(start, len(changed) - end), rng.integers(1, 21), replace=False)
    changed[places] ^= rng.integers(1, 256, len(places)).astype(np.uint8)
    return changed.tobytes()


def _zeroed(image, rng):
    content = bytearray(encode(image))
    start = rng.integers(len(content) // 3, len(content) - 100)
    content[start:start + 64] = bytes(64)
    return Corrupted(bytes(content), any_pixels=True)


def _huge_jpeg(image, rng):
    content = bytearray(encode(image))
    place = content.index(b'\xff\xc0')  # start of frame: length, depth, height, width
    content[place + 5:place + 9] = struct.pack('>HH', 65500, 65500)
    return Corrupted(bytes(content))


def _oriented(image, orientation, **kwargs):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = image if orientation == 1 else image.transpose(_STORED[orientation])
    return Corrupted(encode(stored, exif=exif, **kwargs), image)


def _alpha(image, rng):
    shown = image.copy()
    shown.putalpha(Image.fromarray(rng.integers(0, 256, image.size[::-1], dtype=np.uint8)))
    return Corrupted(encode(shown, 'PNG'), image)


def _grey_alpha(image, rng):
    grey = image.convert('LA')
    grey.putalpha(Image.fromarray(rng.integers(0, 256, image.size[::-1], dtype=np.uint8)))
    seen = Image.new('RGB', image.size, (124, 117, 104))  # the colour that mmcv puts behind it
    seen.paste(grey.convert('RGB'), mask=grey.getchannel('A'))
    return Corrupted(encode(grey, 'PNG'), seen, seen_by_opencv=grey.convert('RGB'))  # which drops alpha


def _frames(image, kind):
    frames = [image.transpose(Image.Transpose.ROTATE_180), image.point(lambda value: 255 - value)]
    return Corrupted(encode(image, kind, save_all=True, append_images=frames), image)


def _resized(image, width, height):
    small = image.resize((width, height))
    return Corrupted(encode(small, 'PNG'), small)


def _deep_grey(image, rng):
    return Corrupted(cv2.imencode('.png', np.asarray(image.convert('L')).astype(np.uint16) * 257)[1].tobytes())


def _deep_colour(image, rng):
    return Corrupted(cv2.imencode('.png', np.asarray(image)[..., ::-1].astype(np.uint16) * 257)[1].tobytes(), image)


IMAGES: dict[str, Callable[[Image.Image, np.random.Generator], Corrupted]] = {
    'truncated JPEG': lambda image, rng: Corrupted(cut(encode(image), rng)),
    'truncated progressive JPEG': lambda image, rng: Corrupted(cut(encode(image, progressive=True), rng)),
    'truncated PNG': lambda image, rng: Corrupted(cut(encode(image, 'PNG'), rng)),
    'empty file': lambda image, rng: Corrupted(b''),
    'all bytes zero': lambda image, rng: Corrupted(bytes(len(encode(image)))),
    'some bytes zero': _zeroed,
    'wrong header': lambda image, rng: Corrupted(rng.bytes(16) + encode(image)[16:]),
    'bytes flipped, JPEG': lambda image, rng: Corrupted(flip(encode(image), rng), any_pixels=True),
    'bytes flipped, PNG': lambda image, rng: Corrupted(flip(encode(image, 'PNG'), rng, 8, 12)),
    'text': lambda image, rng: Corrupted(b'version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
    'HTML': lambda image, rng: Corrupted(b'<!DOCTYPE html><html><body>404 Not Found</body></html>'),
    'CMYK JPEG': lambda image, rng: Corrupted(encode(image.convert('CMYK')), image),
    'grey JPEG': lambda image, rng: Corrupted(encode(image.convert('L')), image.convert('L').convert('RGB')),
    'grey PNG of 16 bits': _deep_grey,
    'colour PNG of 16 bits': _deep_colour,
    'grey TIFF of floats': lambda image, rng: Corrupted(encode(image.convert('F'), 'TIFF')),
    'PNG of one bit': lambda image, rng: Corrupted(encode(image.convert('1'), 'PNG'), image.convert('1').convert('RGB')),
    'palette PNG': lambda image, rng: Corrupted(encode(image.quantize(), 'PNG'), image.quantize().convert('RGB')),
    'alpha PNG': _alpha,
    'grey and alpha PNG': _grey_alpha,
    **{f'EXIF orientation {number}': lambda image, rng, number=number: _oriented(image, number) for number in _STORED},
    'EXIF without meaning': lambda image, rng: Corrupted(encode(image, exif=b'Exif\0\0' + rng.bytes(60)), any_pixels=True),
    'progressive JPEG': lambda image, rng: Corrupted(encode(image, progressive=True), image),
    '1x1': lambda image, rng: _resized(image, 1, 1),
    '1xN': lambda image, rng: _resized(image, *rng.permutation([1, rng.integers(2, 101)]).tolist()),
    '10000x1': lambda image, rng: Corrupted(_resized(image, 10000, 1).content),
    '1x10000': lambda image, rng: Corrupted(_resized(image, 1, 10000).content),
    'PNG declared 60000x60000': lambda image, rng: Corrupted(png(60000, 60000, 8, 2, bytes(1000))),
    'PNG declared 12000x12000': lambda image, rng: Corrupted(png(12000, 12000, 8, 2, bytes(1000))),
    'JPEG declared 65500x65500': _huge_jpeg,
    'animated GIF': lambda image, rng: _frames(image, 'GIF'),
    'animated WebP': lambda image, rng: _frames(image, 'WEBP'),
    'TIFF of several pages': lambda image, rng: _frames(image, 'TIFF'),
    'JPEG of several pictures': lambda image, rng: _frames(image, 'MPO')}


def write_mask(mask: np.ndarray) -> bytes:
    """A PNG of class numbers."""
    return encode(Image.fromarray(mask), 'PNG')


def _out_of_range(mask, rng):
    mask = mask.copy()
    mask[:len(mask) // 2] = rng.integers(151, 255)  # ADE20K has 0 to 150
    return Corrupted(write_mask(mask))


def _palette(mask, rng):
    image = Image.frombytes('P', mask.shape[::-1], mask.tobytes())
    image.putpalette(rng.integers(0, 256, 768).tolist())
    return Corrupted(encode(image, 'PNG'), mask)


def _mask_of_4_bits(mask, rng):
    numbers = np.pad(mask % 9, ((0, 0), (0, mask.shape[1] % 2)))  # spread, they are still classes
    packed = numbers[:, ::2] << 4 | numbers[:, 1::2]
    rows = np.pad(packed, ((0, 0), (1, 0))).tobytes()  # each row begins with the number of its filter
    return Corrupted(png(mask.shape[1], mask.shape[0], 4, 0, rows))


def _mask_of_another_size(mask, rng):
    height, width = mask.shape
    height, width = [(height + rng.integers(1, 50), width), (height, width // 2), (width + 1, height)][rng.integers(3)]
    return Corrupted(write_mask(cv2.resize(mask, (int(width), int(height)), interpolation=cv2.INTER_NEAREST)))


def _oriented_mask(mask, rng):
    return Corrupted(_oriented(Image.fromarray(mask), int(rng.integers(2, 9)), kind='PNG').content)


def _animated_mask(mask, rng):
    image = Image.fromarray(mask)
    return Corrupted(encode(image, 'PNG', save_all=True, append_images=[image.point(lambda value: 255 - value)]))


def _mode(mask, mode, kind='PNG'):
    return Corrupted(encode(Image.fromarray(mask).convert(mode), kind))


def _deep(mask, offset):
    deep = mask.astype(np.uint16) + offset
    return Corrupted(cv2.imencode('.png', deep)[1].tobytes(), None if offset else mask)


MASKS: dict[str, Callable[[np.ndarray, np.random.Generator], Corrupted]] = {
    'mask out of range': _out_of_range,
    'mask of 16 bits out of range': lambda mask, rng: _deep(mask, 256 * int(rng.integers(1, 200))),
    'mask of 16 bits': lambda mask, rng: _deep(mask, 0),
    'mask of 4 bits': _mask_of_4_bits,
    'mask of one bit': lambda mask, rng: Corrupted(encode(Image.fromarray(mask > mask.mean()), 'PNG'),
                                                 (mask > mask.mean()).astype(np.uint8)),
    'mask of another size': _mask_of_another_size,
    'RGB mask': lambda mask, rng: _mode(mask, 'RGB'),
    'mask with alpha': lambda mask, rng: _mode(mask, 'LA'),
    'palette mask': _palette,
    'JPEG mask': lambda mask, rng: _mode(mask, 'L', 'JPEG'),
    'mask with EXIF orientation': _oriented_mask,
    'animated mask': _animated_mask,
    'mask all ignored': lambda mask, rng: Corrupted(write_mask(np.zeros_like(mask)), np.zeros_like(mask)),
    'truncated mask': lambda mask, rng: Corrupted(cut(write_mask(mask), rng)),
    'mask with bytes flipped': lambda mask, rng: Corrupted(flip(write_mask(mask), rng, 8, 12)),
    'empty mask file': lambda mask, rng: Corrupted(b''),
    'text as mask': lambda mask, rng: Corrupted(b'404 Not Found'),
    'mask declared 60000x60000': lambda mask, rng: Corrupted(png(60000, 60000, 8, 0, bytes(1000)))}
