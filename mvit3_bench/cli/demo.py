"""Draw what a model predicts for an image, the images of a folder, or a video: classification, detection, segmentation."""
import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UnreadableSample, UsageError
from .common import add_predict_flags, lines

if TYPE_CHECKING:
    from ..apis.media import Video
    from ..apis.predict import Predictor

EXAMPLE = 'street.jpg --config configs/det/ssdlite_mvit3_s_coco.py --checkpoint work_dirs/ssdlite_mvit3_s_coco'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('input', type=Path, metavar='IMAGE|FOLDER|VIDEO', help='what to look at')
    parser.add_argument('--config', required=True,
                        help='config file, for instance of configs/det/; or the name of one of this package')
    parser.add_argument('--checkpoint', required=True, help='checkpoint file, or a work dir, for its best checkpoint')
    parser.add_argument('--out-dir', type=Path, default=Path('outputs'), metavar='DIR',
                        help='folder of the pictures or the video (default: %(default)s)')
    parser.add_argument('--maps', metavar='LAYER', help='also draw feature and attention maps of the MobileViT block of '
                        'layer3, layer4 or layer5, in FILE_maps.png')
    add_predict_flags(parser)


def draw_images(files: list[Path], predictor: 'Predictor', args: argparse.Namespace) -> list[str]:
    """Draw images; returns what went wrong."""
    import mmcv

    from ..visualization import attention_maps as maps
    errors = []
    for number, file in enumerate(files, 1):
        head = lines(f'[{number}/{len(files)}] {file}: ')
        try:
            image = predictor.read(file)
        except UnreadableSample as error:
            errors.append(str(error))
            print(head + 'cannot be read', flush=True)
            continue
        data = predictor.prepare(image, file)
        sample = predictor(data)
        drawn = {args.out_dir / f'{file.name}.png': predictor.draw(mmcv.bgr2rgb(image), sample)}
        if args.maps:
            drawn[args.out_dir / f'{file.name}_maps.png'] = maps.draw(maps.collect(predictor, data, args.maps))
        for path, picture in drawn.items():
            mmcv.imwrite(mmcv.rgb2bgr(picture), str(path))
        print(head + lines(f'{predictor.describe(sample)} -> {", ".join(map(str, drawn))}'), flush=True)
    return errors


def draw_video(video: 'Video', predictor: 'Predictor', args: argparse.Namespace) -> None:
    """Draw each frame of a video into another one."""
    import mmcv
    from mmengine.utils import ProgressBar

    from ..apis import media
    target = args.out_dir / f'{video.path.stem}.mp4'
    if target.resolve() == video.path.resolve():
        raise UsageError(f'{target} is the video itself', target, 'name another folder with --out-dir')
    progress = ProgressBar(len(video))
    with media.Writer(target, video.fps) as writer:
        for frame in video:
            picture = predictor.draw(mmcv.bgr2rgb(frame), predictor(predictor.prepare(frame)))
            writer.write(picture)
            progress.update()
    print(f'\n{target}')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..apis import media, predict
    files = media.images(args.input)
    video = None if files else media.Video(args.input)
    if video is not None and args.maps:
        raise UsageError('--maps is for images, not for a video', '--maps')
    _, predictor = predict.load(args, args.config, args.checkpoint)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    if video is not None:  # one whose header tells no number of frames has the length 0
        draw_video(video, predictor, args)
    elif errors := draw_images(files, predictor, args):
        sys.exit(lines('\n'.join(f'error: {error}' for error in errors)))
