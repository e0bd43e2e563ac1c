"""tools/demo.py: images, folders and videos of all three tasks, drawn from the very predictions of tools/test.py."""
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import TASKS

from mvit3_bench.apis.media import images

FOLDERS = dict(classification='imagenet/val', detection='coco/val2017',
               segmentation='ade/ADEChallengeData2016/images/validation')



def flags(weights, task):
    config, checkpoint = weights[task]
    return ['--config', config, '--checkpoint', checkpoint, '--device', 'cpu', '--mini']


def pictures(task) -> list[Path]:
    return sorted(path for path in Path('data/mini', FOLDERS[task]).rglob('*') if path.suffix.lower() in ('.jpg', '.jpeg'))


@pytest.mark.parametrize('task', TASKS)
def test_same_predictions_as_test(run_dir, tool, weights, task):
    """What is drawn of an image file is what tools/test.py predicts for it in the data set."""
    from argparse import Namespace

    import mmengine

    from mvit3_bench.apis import predict
    config, checkpoint = weights[task]
    outcome = tool('test', config, checkpoint, '--mini', '--cfg-options', 'test_dataloader.dataset.indices=2',
                   'test_dataloader.batch_size=1', 'test_evaluator._delete_=True', 'test_evaluator.type=DumpResults',
                   'test_evaluator.out_file_path=all.pkl')
    assert outcome.code == 0, outcome.output
    expected = mmengine.load('all.pkl')
    args = Namespace(mini=True, backbone=None, cfg_options=None, device='cpu', score_thr=0.0)
    _, predictor = predict.load(args, str(config), str(checkpoint))
    for sample in expected:
        found = predictor(predictor.prepare(predictor.read(sample['img_path']), sample['img_path']))
        if task == 'classification':
            assert torch.equal(found.pred_score, sample['pred_score'])
        elif task == 'detection':
            assert len(found.pred_instances.scores) > 0
            for key in ('bboxes', 'scores', 'labels'):
                assert torch.equal(found.pred_instances[key], sample['pred_instances'][key])
        else:
            assert torch.equal(found.pred_sem_seg.data, sample['pred_sem_seg']['data'])


@pytest.mark.parametrize('task', TASKS)
def test_image(run_dir, tool, weights, task):
    """One image: a line of text and a picture, large enough to be read."""
    file = pictures(task)[0]
    outcome = tool('demo', file, *flags(weights, task), '--out-dir', 'drawn', '--score-thr', '0')
    assert outcome.code == 0, outcome.output
    assert f'[1/1] {file}: ' in outcome.output
    drawn = cv2.imread(f'drawn/{file.name}.png')
    before = cv2.imread(str(file))
    assert min(drawn.shape[:2]) >= 360
    assert abs(drawn.shape[0] / drawn.shape[1] - before.shape[0] / before.shape[1]) < 0.02
    plain = cv2.resize(before, drawn.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert np.abs(drawn.astype(int) - plain).max() > 50  # something was drawn


def test_folder_with_a_broken_image(run_dir, tool, weights):
    """The others are drawn, the broken one is named at the end, and the exit code says so."""
    folder = run_dir / 'pictures'
    folder.mkdir()
    for number, file in enumerate(pictures('classification')[:3]):
        (folder / f'{number}.jpg').write_bytes(file.read_bytes()[:100 if number == 1 else None])
    (folder / 'notes.txt').write_text('no image')
    outcome = tool('demo', folder, *flags(weights, 'classification'))
    assert outcome.code == 1
    assert 'error: cannot read ' + str(folder / '1.jpg') in outcome.output
    assert sorted(path.name for path in Path('outputs').iterdir()) == ['0.jpg.png', '2.jpg.png']


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, (160, 96))
    assert writer.isOpened()
    for frame in range(frames):
        writer.write(np.full((96, 160, 3), 40 * frame, np.uint8))
    writer.release()


@pytest.mark.parametrize('task', ['detection', 'segmentation'])
def test_video(run_dir, tool, weights, task):
    """As many frames as the video has, at its speed."""
    write_video('film.mp4', frames=3)
    outcome = tool('demo', 'film.mp4', *flags(weights, task))
    assert outcome.code == 0, outcome.output
    drawn = cv2.VideoCapture('outputs/film.mp4')
    assert drawn.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert drawn.get(cv2.CAP_PROP_FPS) == 10


def test_video_of_unknown_length(run_dir, tool, weights, monkeypatch):
    """A header that tells no number of frames, as of raw streams, ends nothing early."""
    from mvit3_bench.apis import media
    monkeypatch.setattr(media.Video, '__len__', lambda self: 0)
    write_video('film.mp4', frames=3)
    outcome = tool('demo', 'film.mp4', *flags(weights, 'segmentation'))
    assert outcome.code == 0, outcome.output
    assert cv2.VideoCapture('outputs/film.mp4').get(cv2.CAP_PROP_FRAME_COUNT) == 3


def test_video_whose_name_is_no_text(tmp_path):
    """OpenCV would crash."""
    from mvit3_bench.apis import media
    from mvit3_bench.errors import UsageError
    file = tmp_path / 'caf\udce9.mp4'
    file.touch()
    with pytest.raises(UsageError, match='is not UTF-8; rename it'):
        media.Video(file)
    with pytest.raises(UsageError, match='is not UTF-8; rename it'), media.Writer(file, 25) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))


def test_video_that_cannot_be_decoded(run_dir, tool, weights):
    Path('film.mp4').write_bytes(b'no video' * 1000)
    outcome = tool('demo', 'film.mp4', *flags(weights, 'detection'))
    assert outcome.code == 1
    assert 'film.mp4 cannot be decoded' in outcome.output and 'Traceback' not in outcome.output
    assert not Path('outputs').exists()


def test_video_that_is_cut_off(run_dir, tool, weights):
    """Frames up to the damage are kept, and the error says where it is."""
    rng = np.random.default_rng(0)
    writer = cv2.VideoWriter('film.avi', cv2.VideoWriter_fourcc(*'MJPG'), 10, (160, 96))
    for _ in range(20):
        writer.write(rng.integers(256, size=(96, 160, 3), dtype=np.uint8))
    writer.release()
    content = Path('film.avi').read_bytes()
    Path('film.avi').write_bytes(content[:len(content) // 2])
    outcome = tool('demo', 'film.avi', *flags(weights, 'classification'))
    assert outcome.code == 1, outcome.output
    assert 'film.avi cannot be decoded beyond frame' in outcome.output and 'Traceback' not in outcome.output
    assert 0 < cv2.VideoCapture('outputs/film.mp4').get(cv2.CAP_PROP_FRAME_COUNT) < 20


@pytest.mark.parametrize('args, message', [
    (['absent.jpg'], 'absent.jpg does not exist'), (['.'], 'no image ('),
    (['data/mini/ade/ADEChallengeData2016'], 'no image ('),
    (['film.mp4', '--maps', 'layer3'], '--maps is for images'),
    (['film.mp4', '--device', 'cuda:7'], '--device cuda:7 is not possible')])
def test_user_errors(run_dir, tool, weights, monkeypatch, args, message):
    write_video('film.mp4', frames=2)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    outcome = tool('demo', *flags(weights, 'detection'), *args)
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert message in outcome.output
    assert not Path('outputs').exists()


def test_which_files_are_images(tmp_path):
    """By their suffix, and one alone by its content; what a system hides in a folder is not taken."""
    picture = np.zeros((8, 8, 3), np.uint8)
    for name in ('a.jpg', 'b.png', '._b.png'):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / 'a.jpg').rename(tmp_path / 'a.jfif')
    assert [path.name for path in images(tmp_path)] == ['a.jfif', 'b.png']
    (tmp_path / 'b.png').rename(tmp_path / 'photo')
    assert images(tmp_path / 'photo') == [tmp_path / 'photo']
    (tmp_path / 'notes').write_text('no picture')
    assert images(tmp_path / 'notes') == []


def test_names_of_classes(run_dir, tool, weights):
    """Those that the checkpoint was trained with; without them, and none in the config, an error says what to do."""
    config, file = weights['classification']
    checkpoint = torch.load(file, weights_only=True)
    torch.save(dict(checkpoint, meta=dict(dataset_meta=dict(CLASSES=[f'thing{n}' for n in range(1000)]))), 'named.pth')
    image = pictures('classification')[0]
    outcome = tool('demo', image, '--config', config, '--checkpoint', 'named.pth', '--mini')
    assert outcome.code == 0 and ': thing' in outcome.output, outcome.output
    names = [f'thing{n}' for n in range(1000)]
    Path('turned.py').write_text(f"_base_ = [{str(config)!r}]\ntest_dataloader = dict(dataset=dict(metainfo=dict("
                                 f"classes={names[::-1]})))\n")  # the numbers are those of the checkpoint's classes
    turned = tool('demo', image, '--config', 'turned.py', '--checkpoint', 'named.pth', '--mini')
    assert turned.code == 0 and re.findall(r'thing\d+', turned.output) == re.findall(r'thing\d+', outcome.output)
    Path('own.py').write_text(f"_base_ = [{str(config)!r}]\ntest_dataloader = dict(dataset=dict(type='CustomDataset'))\n")
    outcome = tool('demo', image, '--config', 'own.py', '--checkpoint', file, '--mini')
    assert outcome.code == 1 and 'Traceback' not in outcome.output
    assert 'neither the checkpoint nor the config names the classes' in outcome.output


@pytest.mark.parametrize('classes', [['crack'], ['back\x1b[2Jground', 'crack']])
def test_sigmoid_head(run_dir, tool, classes):
    """A segmentor of one foreground class is drawn and described; control characters in names of classes are escaped."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    config = run_dir / 'crack.py'
    loss = "loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True)"
    config.write_text(f"_base_ = ['{Path(__file__).parents[2] / 'configs' / TASKS['segmentation']}']\n"
                      f'model = dict(decode_head=dict(num_classes=2, out_channels=1, threshold=0.5, {loss}))\n')
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    model.decode_head.conv_seg.bias.data.fill_(100)  # every pixel is foreground
    meta = dict(dataset_meta=dict(classes=classes, palette=((1, 2, 3),)))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), 'x.pth')
    file = pictures('segmentation')[0]
    outcome = tool('demo', file, '--config', config, '--checkpoint', 'x.pth', '--device', 'cpu')
    assert outcome.code == 0 and 'crack 100%' in outcome.output and '\x1b' not in outcome.output, outcome.output
    assert Path(f'outputs/{file.name}.png').is_file()


def test_palette():
    """A colour for each class, whatever the metadata have; those that are known stay."""
    from mvit3_bench.apis.drawing import complete_palette
    for palette in ((), None, ((1, 2, 3),), [[1, 2, 3]] * 80):
        found = complete_palette(dict(classes=['x'] * 100, palette=palette))['palette']
        assert len(found) == 100 and all(isinstance(each, tuple) and len(each) == 3 for each in found)
        assert found[0] == (1, 2, 3) or not palette


@pytest.mark.parametrize('name', [b'a%d.jpg', b'[a].jpg', b'caf\xe9.jpg'])
def test_odd_names(run_dir, tool, weights, name):
    """Names that are patterns, or not UTF-8, are names."""
    import os
    file = os.path.join(b'odd', name)
    os.mkdir('odd')
    with open(file, 'wb') as target:
        target.write(pictures('classification')[0].read_bytes())
    outcome = tool('demo', 'odd', *flags(weights, 'classification'))
    assert outcome.code == 0, outcome.output
    assert os.listdir(b'outputs') == [name + b'.png']
