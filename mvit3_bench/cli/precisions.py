"""Export trained models in each precision, test the files, and time them: the table of INT8."""
import argparse
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ..errors import UsageError
from .common import check_least
from .export import CALIBRATION, PRECISIONS
from .targets import finish

TARGETS = ('onnx', 'openvino', 'litert', 'executorch')
AGREEMENT_IMAGES = 500  # of the test set; a classifier's agreement is that of all
EXAMPLE = 'work_dirs/three_tasks/cifar10-mvit3_xxs-seed0 --to onnx openvino --precisions float32 int8'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('runs', nargs='+', metavar='WORK_DIR',
                        help='work dirs of trainings: their config and their best checkpoint')
    parser.add_argument('--to', nargs='+', choices=TARGETS, default=TARGETS, metavar='TARGET',
                        help=f'formats, of {", ".join(TARGETS)} (default: all)')
    parser.add_argument('--precisions', nargs='+', choices=PRECISIONS, default=PRECISIONS, metavar='PRECISION',
                        help=f'of {", ".join(PRECISIONS)}; each where the format has it (default: all)')
    parser.add_argument('--calibration', type=int, default=CALIBRATION, metavar='N',
                        help='images of the train set to calibrate INT8 with (default: %(default)s)')
    parser.add_argument('--sensitivity', type=int, default=0, metavar='N',
                        help='make INT8 once more, with the N layers in float that it harms most')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/precisions'), metavar='DIR',
                        help='folder of the files and their tests; what it has is not made again (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/precisions/precisions.json'), metavar='FILE',
                        help='file of the table (default: %(default)s)')
    parser.add_argument('--page', type=Path, metavar='FILE', help='write the table as a page, too')
    parser.add_argument('--again', action='store_true', help='make cells that failed again')
    parser.add_argument('--latency', action='store_true',
                        help='make nothing, but time the files of a model and format in turns, which needs a quiet machine')


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..deploy.table import cells as table
    from ..deploy.table.precisions import page
    from ..utils.environment import command_line
    check_least('--calibration', args.calibration)
    check_least('--sensitivity', args.sensitivity, lowest=0)
    content = table.read(args.out, command_line())
    finish(lambda: (time if args.latency else make)(content, args), lambda: page(content), args)


def make(content: dict, args: argparse.Namespace) -> None:
    """Export and test what is not there."""
    from ..deploy.table import cells as table
    folders = [Path(each).absolute() for each in args.runs]  # a name even of "."
    if twice := [name for name, number in Counter(folder.name for folder in folders).items() if number > 1]:
        raise UsageError(f'two runs are called {twice[0]}, and are kept by their names', twice[0],
                         'give them in two calls with two --out and --work-dir, or rename a folder')
    for folder in folders:
        exact = tested(folder, None, args.work_dir / folder.name / 'model')
        for key, form, precision, keep in cells(folder, args):
            known = content['cells'].get(key)
            if known and not (args.again and 'failed' in known):
                continue
            content['cells'][key] = cell = table.separately(export_cell, folder, form, precision, keep, args)
            if 'failed' not in cell:
                place = args.work_dir / folder.name / form / f'{precision}{keep or ""}'
                try:
                    cell |= compare(exact, tested(folder, Path(cell['files'][0]), place))
                except UsageError as error:  # the runtime refuses the file: the reason is the result
                    cell['failed'] = str(error)
            table.write(args.out, content)
            print(f'{key}: {cell.get("failed") or cell}', flush=True)


def cells(folder: Path, args: argparse.Namespace) -> list[tuple]:
    """The cells of a run: key, form, precision, and number of layers that stay in float."""
    from ..deploy.quantise import KEEPING, WRITERS
    found = []
    for form in args.to:
        for precision in args.precisions:
            if precision == 'float32' or precision in WRITERS[form]:
                found.append((f'{folder.name}/{form}/{precision}', form, precision, 0))
        if args.sensitivity and 'int8' in args.precisions and form in KEEPING:
            found.append((f'{folder.name}/{form}/int8, {args.sensitivity} layers in float', form, 'int8', args.sensitivity))
    return found


def config_of(folder: Path) -> str:
    """The config that a training has left in its work dir.

    Raises:
        UsageError: There is none, or there are several.
    """
    found = sorted(folder.glob('*.py'))
    if len(found) != 1:
        raise UsageError(f'{folder} has {len(found)} configs (*.py)', folder, 'the work dir of one training has one')
    return str(found[0])


def export_cell(folder: Path, form: str, precision: str, keep: int, args: argparse.Namespace) -> dict:
    """Export the model of a run, before the post-processing -> what came of it, as it is recorded."""
    from ..deploy.export import export
    from ..deploy.quantise.calibration import pipeline_images
    from ..deploy.table.cells import written
    from ..deploy.targets import TARGETS as FORMATS
    from ..engine import run_config
    from .export import calibrate
    cfg, model, size = run_config.model_and_size(config_of(folder))
    run_config.load_weights(cfg, model, str(folder))
    out = args.work_dir / folder.name / form / f'{precision}{keep or ""}{FORMATS[form].suffix}'
    try:
        calibration = None
        if precision == 'int8':
            others = pipeline_images(cfg, 'test_dataloader', size, AGREEMENT_IMAGES)
            calibration = replace(calibrate(cfg, model, size, form, args.calibration, keep), others=others)
        done = export(model, size, form, out, raw=True, precision=precision, calibration=calibration)
    except Exception as error:  # of any exporter or runtime: the reason is the result
        return dict(failed=str(error) or type(error).__name__)
    return dict(size=list(size), **written(done.files), kept=list(calibration.keep) if calibration else [],
                agreement=done.agreement)


def tested(folder: Path, file: Path | None, out: Path) -> Path:
    """Test a file, or the model itself, with the data of its config -> the record of each image, made unless it is there.

    Raises:
        UsageError: The test failed, or leaves no record.
    """
    record, made_of = out / 'per_image.npz', [file] if file else [*folder.glob('*.pth')]  # which may be gone
    if not record.exists() or any(record.stat().st_mtime < each.stat().st_mtime for each in made_of):
        words = [sys.executable, '-m', 'mvit3_bench.cli', 'test', recording(folder, out), str(file or folder),
                 '--work-dir', str(out / 'test')]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode or not record.exists():
            said = (done.stderr.strip() or done.stdout.strip() or 'no output').splitlines()
            reason = next((line for line in said if line.startswith('error: ')), said[-1])
            raise UsageError(f'the test of {file or folder} left no {record}: {reason}', file or folder)
    return record


def recording(folder: Path, out: Path) -> str:
    """The config of a run, whose test records each image in ``out``; written there."""
    from ..engine.run_config import read_config
    from .test import evaluators_of
    cfg = read_config(config_of(folder))
    evaluators = [each for each in evaluators_of(cfg) if 'out_file' not in each]
    kind = dict(mmpretrain='Accuracy', mmdet='AP', mmseg='IoU')[cfg.default_scope]
    truth = dict(ann_file=evaluators[0].ann_file) if kind == 'AP' else {}
    record = dict(type=f'mvit3_bench.PerImage{kind}', out_file=str((out / 'per_image.npz').absolute()), **truth)
    cfg.test_evaluator = [*evaluators, record]
    out.mkdir(parents=True, exist_ok=True)
    cfg.dump(out / 'config.py')
    return str(out / 'config.py')


def compare(exact: Path, found: Path) -> dict:
    """What a file's test gave, beside the model's: the metric in percent, the difference with its interval over images, and
    of classifiers the share of equal answers.
    """

    from ..study.records import Record, read
    from ..study.statistics import Score, draws, over_images
    ours, model = (Record(path, read(path)) for path in (found, exact))
    scores = [Score(each.value, each.scores(draws(each.images))) for each in (ours, model)]
    difference = over_images(*scores)
    result = dict(images=ours.images, score=scores[0].value, score_of_model=scores[1].value,
                  difference=[difference.value, difference.low, difference.high])
    if 'predicted' in ours.arrays:
        result['agreement'] = float((ours.arrays['predicted'] == model.arrays['predicted']).mean())
    return result


def time(content: dict, args: argparse.Namespace) -> None:
    """Time the files of each run and format in turns, and see where the time goes."""
    from ..deploy.table import cells as table
    from ..deploy.table import profile
    from ..utils.environment import command_line
    content['timed'] = table.origin(command_line())
    for folder in (Path(each).absolute() for each in args.runs):
        for form in args.to:
            there = {key: cell for key, cell in content['cells'].items()
                     if key.startswith(f'{folder.name}/{form}/') and 'failed' not in cell}
            files = {key: file for key, cell in there.items() if Path(file := cell['files'][0]).exists()}
            if not files:
                continue
            found = table.separately(table.latencies, form, files, next(iter(there.values()))['size'])
            if 'failed' in found:
                print(f'{folder.name}/{form}: {found["failed"]}', flush=True)
                continue
            for key, figures in found.items():
                there[key]['latency'] = figures
                if form in profile.PROFILERS:
                    there[key]['profile'] = table.separately(profile.profile, form, files[key], there[key]['size'])
                print(f'{key}: {figures["median_ms"]:.2f} ms (p90 {figures["p90_ms"]:.2f})', flush=True)
            table.write(args.out, content)
