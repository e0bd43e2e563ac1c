"""The file of a suite: what it plans, and everything that can be wrong in it, found before anything runs."""
import json
import sys
from importlib import import_module
from pathlib import Path

import conftest
import pytest

from mvit3_bench.errors import UsageError
from mvit3_bench.suite.file import find_suite, read_suite
from mvit3_bench.suite.runs import line
from mvit3_bench.suite.state import check_states, find_results, noted

pytest.importorskip('mmseg')
PLAN = """
name: tasks
runs:
  - configs: [cls/mvit3_xxs_in1k]
    backbones: [mvit3_xxs, mvit3_0.5]
    seeds: [0, 1]
    options: {train_cfg.max_epochs: 5, optim_wrapper.optimizer.lr: 1e-3, default_hooks.visualization: null, a.b: [1, 2]}
  - configs: [det/ssdlite_mvit3_xxs_coco, seg/deeplabv3_mvit3_xxs_voc2012.py]
    backbones: [mvit3_xxs]
    init: cls/mvit3_xxs_in1k
"""


def read(place: Path, text: str, **kwargs):
    """Read the file of a suite with this text."""
    (place / 'suite.yaml').write_text(text)
    return read_suite(str(place / 'suite.yaml'), **kwargs)


def test_plan(tmp_path):
    """Each group is configs x backbones x seeds; a run that starts from another has it as its source."""
    suite = read(tmp_path, PLAN)
    assert [run.name for run in suite.runs] == [
        'mvit3_xxs_in1k-mvit3_xxs-seed0', 'mvit3_xxs_in1k-mvit3_xxs-seed1', 'mvit3_xxs_in1k-mvit3_0.5-seed0',
        'mvit3_xxs_in1k-mvit3_0.5-seed1', 'ssdlite_mvit3_xxs_coco-mvit3_xxs-seed0',
        'deeplabv3_mvit3_xxs_voc2012-mvit3_xxs-seed0']
    assert suite.folder == Path('work_dirs/tasks') and suite.runs[0].results == Path('work_dirs/tasks/results')
    first, last = suite.runs[0], suite.runs[-1]
    assert first.source is None and last.source == first
    assert last.result_config == 'seg/deeplabv3_mvit3_xxs_voc2012.py --backbone mvit3_xxs'
    assert line(first.train()) == (
        'mvit3 train cls/mvit3_xxs_in1k --backbone mvit3_xxs --cfg-options train_cfg.max_epochs=5 '
        "optim_wrapper.optimizer.lr=1e-3 default_hooks.visualization=None 'a.b=[1,2]' --seed 0 "
        '--work-dir work_dirs/tasks/mvit3_xxs_in1k-mvit3_xxs-seed0 --resume')
    init = 'model.backbone.init_cfg'
    assert last.train('x.pth')[3:9] == ['mvit3_xxs', '--cfg-options', f'{init}.type=Pretrained', f'{init}.checkpoint=x.pth',
                                        f'{init}.prefix=backbone.', '--seed']
    assert '--cfg-options' not in last.test() and last.test()[-2:] == ['--record', 'work_dirs/tasks/results']


def test_mini_and_folders(tmp_path):
    """The flag gives the miniature a separate folder; folders that are named are taken."""
    assert read(tmp_path, PLAN, mini=True).folder == Path('work_dirs/tasks_mini')
    assert read(tmp_path, 'mini: true\n' + PLAN, mini=True).folder == Path('work_dirs/tasks')
    suite = read(tmp_path, PLAN, mini=True, folder=tmp_path, results=Path('store'))
    assert suite.runs[0].folder == tmp_path / suite.runs[0].name and suite.runs[0].results == Path('store')
    assert '--mini' in suite.runs[0].train() and '--mini' in suite.runs[0].test()


@pytest.mark.parametrize('text, words', [
    ('runs: [\n', r'suite.yaml is not YAML: line 2, column 1'),
    ('runs: 1\nruns: 2\n', r"line 2, column 1: key 'runs' stands twice"),
    ('- a\n', r'is no mapping, but list; its keys: name, runs, mini, slurm'),
    ('name: x\n', r'suite.yaml has no runs'),
    ('run: []\n', r"has no key 'run'; meant, perhaps: runs"),
    ('runs: []\n', r'runs is \[\]; wanted: a list'),
    ('runs: [x]\n', r'runs\[0\] is no mapping, but str; its keys: configs, backbones'),
    ('runs: [{backbones: [mvit3_s]}]\n', r'runs\[0\] has no configs'),
    ('runs: [{configs: cls/mvit3_s_in1k}]\n', r"runs\[0\].configs is 'cls/mvit3_s_in1k'; wanted: a list"),
    ('runs: [{configs: [cls/mvit3_s_in1k], seed: [1]}]\n', r"runs\[0\] has no key 'seed'; meant, perhaps: seeds"),
    ('runs: [{configs: [cls/mvit3_s_in1k], seeds: [-1]}]\n', r'seeds has -1; wanted: a list of whole numbers'),
    ('runs: [{configs: [cls/mvit3_s_in1k], seeds: [true]}]\n', r'seeds has True; wanted'),
    ('runs: [{configs: [cls/mvit3_s_in1k], options: {a: {b: 1}}}]\n', r'options.a is a mapping; write a.KEY: VALUE'),
    ('runs: [{configs: [cls/mvit3_s_in1k], options: {"a b": 1}}]\n', r"options has the key 'a b'"),
    ('runs: [{configs: [cls/mvit3_s_in1k], options: {"--out": 1}}]\n', r"options has the key '--out'"),
    ('runs: [{configs: [cls/mvit3_s_in1k], options: {a: [{b: X, c: 1}]}}]\n', r"options.a is \[{.b.: .X., .c.: 1}\], which"),
    ('runs: [{configs: [cls/mvit3_s_in1k], options: {a: "b, c"}}]\n', r"options.a is 'b, c', which no word of --cfg-option"),
    ('name: ../x\nruns: [{configs: [cls/mvit3_s_in1k]}]\n', r"name is '../x'; it names a folder"),
    ('mini: 1\nruns: [{configs: [cls/mvit3_s_in1k]}]\n', r'mini is 1; wanted: true or false'),
    ('runs: [{configs: [cls/mvit3_s_in1]}]\n', r'config not found: cls/mvit3_s_in1\n  there are: cls/mvit3_s_in1k'),
    ('runs: [{configs: [cls/mvit3_s_in1k], backbones: [mobilevitv3_xl]}]\n', r'has this name; the nearest: .*_xs'),
    ('runs: [{configs: [cls/mvit3_s_in1k], init: cls/mvit3_s_in1k}]\n', r'runs\[0\].init: no group before it runs .*none'),
    ('runs: [{configs: [cls/mvit3_s_in1k]}, {configs: [cls/mvit3_xs_in1k], seeds: [1], init: cls/mvit3_s_in1k}]\n',
     r'runs\[1\].init: .* with its own backbone and seed 1; there are: mvit3_s_in1k-seed0'),
    ('runs: [{configs: [cls/mvit3_s_in1k], seeds: [0, 0]}]\n',
     r'two runs are called mvit3_s_in1k-seed0: runs\[0\] \(cls/mvit3_s_in1k, seed 0\) and runs\[0\] '),
    ('runs: [{configs: [cls/mvit3_s_in1k]}, {configs: [mvit3_s_in1k]}]\n',
     r'runs\[0\] \(cls/mvit3_s_in1k, seed 0\) and runs\[1\] \(mvit3_s_in1k, seed 0\); leave one out')])
def test_wrong_files(tmp_path, text, words):
    """The message names file, key and what is wanted."""
    with pytest.raises(UsageError, match=words):
        read(tmp_path, text)


def test_merged_groups(tmp_path):
    """YAML's merge key takes over a group, whose keys give way to those beside it."""
    suite = read(tmp_path, 'runs:\n- &first {configs: [cls/mvit3_s_in1k], seeds: [0]}\n- {<<: *first, seeds: [1]}\n')
    assert [(run.config, run.seed) for run in suite.runs] == [('cls/mvit3_s_in1k', 0), ('cls/mvit3_s_in1k', 1)]


def test_same_stem_in_two_folders(tmp_path):
    """Two configs of one name would write into one folder; a name that no result can have is refused, too."""
    for folder in ('a', 'b'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'x.py').touch()
    with pytest.raises(UsageError, match='two runs are called x-seed0: .*a/x.py, seed 0.* and .*b/x.py'):
        read(tmp_path, f'runs: [{{configs: [{tmp_path}/a/x.py, {tmp_path}/b/x.py]}}]')
    (tmp_path / 'a' / 'x y.py').touch()
    with pytest.raises(UsageError, match="a run called 'x y-seed0'"):
        read(tmp_path, f'runs: [{{configs: ["{tmp_path}/a/x y.py"]}}]')


def test_suites_of_this_package(tmp_path, monkeypatch):
    """Each is found by its name from any folder, and can be planned; an unknown name lists them."""
    pytest.importorskip('timm')
    monkeypatch.chdir(tmp_path)
    names = sorted(path.stem for path in (conftest.ROOT / 'configs' / 'suite').glob('*.yaml'))
    assert len(read_suite(find_suite('eight_backbones')).runs) == 24
    assert all(read_suite(find_suite(f'suite/{name}.yaml')).runs for name in names)
    with pytest.raises(UsageError, match=f'suite not found: nine\n  there are: {", ".join(names)}'):
        find_suite('nine')


def result(**changes) -> dict:
    """A result as the store has it."""
    return dict(id='x-0', config='cls/mvit3_xxs_in1k.py --backbone mvit3_xxs', model='mvit3_xxs', task='classification',
                dataset='ImageNet in data', mini=False, images=8, metrics={'accuracy/top1': 50.0}, origin='trained here',
                checkpoint='x.pth', sha256='0' * 64, source='', seed=1, commit=None, hardware='a machine', date='2026-01-01',
                command='python tools/test.py x') | changes


def test_done(tmp_path):
    """A run is done if the store has a result of its config, backbone, seed, data and options; the latest one counts."""
    suite = read(tmp_path, PLAN, folder=tmp_path)
    run = next(run for run in suite.runs if run.name == 'mvit3_xxs_in1k-mvit3_xxs-seed1')
    command = line(run.test())
    (tmp_path / 'results').mkdir()
    for name, changes in dict(
            a=dict(id='a', date='2026-01-02', metrics={'accuracy/top1': 60.0}, command=command),
            b=dict(id='b', command=command),
            c=dict(id='c', seed=0, mini=True, command=command), d=dict(id='d', config='cls/mvit3_xxs_in1k.py', seed=0),
            e=dict(id='e', seed=7, command=command), f=dict(id='f', date='2026-01-03'),
            g=dict(id='g', date='2026-01-03', command=command.replace('max_epochs=5', 'max_epochs=2'))).items():
        (tmp_path / 'results' / f'{name}.json').write_text(json.dumps(result(**changes)))
    found = find_results(suite.runs)
    assert list(found) == [run.name] and found.popitem()[1].id == 'a'


def test_begun_with_other_options(tmp_path):
    """A folder that was begun with other options is not gone on with."""
    suite = read(tmp_path, PLAN, folder=tmp_path)
    run = suite.runs[0]
    run.folder.mkdir()
    (run.folder / 'suite.json').write_text(json.dumps(dict(options=list(run.options), source=None)))
    check_states(suite.runs)
    (run.folder / 'suite.json').write_text(json.dumps(dict(options=['a=1'], source=None)))
    with pytest.raises(UsageError, match=r"seed0 was begun with other options: \['a=1'\], and now has .*another folder"):
        check_states(suite.runs)
    with noted(run):
        pass
    check_states(suite.runs)
    with pytest.raises(UsageError, match=r'seed0 was begun with other mini: False, and now has True'):
        check_states(read(tmp_path, PLAN, folder=tmp_path, mini=True).runs)


def test_submitit_missing(monkeypatch):
    """The line that installs it is told."""
    monkeypatch.setitem(sys.modules, 'submitit', None)
    monkeypatch.delitem(sys.modules, 'mvit3_bench.suite.queues', raising=False)
    with pytest.raises(UsageError, match='submitit, which is not installed: pip install submitit'):
        import_module('mvit3_bench.suite.queues')
