"""OpenMMLab's model index, the table of all configs and the counts of their models.

Generated from the configs, the published figures and the results measured here.

    python -m mvit3_bench.paper.model_index    # in the repository: writes them anew
"""
import re
import sys
from pathlib import Path

import yaml
from mmengine.config import Config

from ..engine.config_files import title_of
from ..results import store
from ..utils import text
from . import counts
from .published import Published, published
from .tables import Measured

_PAPERS = dict(
    mvit1=('MobileViT', 'MobileViT: Light-weight, General-purpose, and Mobile-friendly Vision Transformer', '2110.02178'),
    mvit2=('MobileViTv2', 'Separable Self-attention for Mobile Vision Transformers', '2206.02680'),
    mvit3=('MobileViTv3', 'MobileViTv3: Mobile-Friendly Vision Transformer with Simple and Effective Fusion of Local, '
           'Global and Input Features', '2209.15159'))
# metric -> names of task and metric in the schema
_METRICS = dict(
    top1=('Image Classification', 'Top 1 Accuracy'),
    bbox_mAP=('Object Detection', 'box AP'),
    mIoU=('Semantic Segmentation', 'mIoU'))
# folders of configs/ -> headings of the table
_FOLDERS = dict(cls='Classification', ablation='Ablation', det='Detection', seg='Segmentation',
                study='Studies on small real data')
_DATASETS = dict(imagenet1k='ImageNet-1k', coco2017='COCO', voc2012='Pascal VOC 2012 + Aug', ade20k='ADE20K')


def _model(row: Published, parameters: int, multiply_adds: int, measured: Measured) -> dict:
    task, metric = _METRICS[row.metric]
    result = measured.of(row.config, row.dataset, row.metric)
    here = 'not measured here' if result is None else (
        f'measured here {result.percent(row.metric):.2f} ({result.origin}, {result.id})')
    return {
        'Name': Path(row.config).stem,
        'In Collection': _PAPERS[row.family][0],
        'Config': f'configs/{row.config}',
        'Metadata': {
            'Parameters': parameters,
            'FLOPs': multiply_adds,
            'Training Data': _DATASETS[row.dataset],
            'Origin of Results': f'published ({row.source}), {here}'},
        'Results': [{'Task': task, 'Dataset': _DATASETS[row.dataset], 'Metrics': {metric: row.value}}]}


def _table(root: Path, sizes: dict[str, tuple[int, int]]) -> str:
    """Every config, with the first line of its docstring."""
    rows = {row.config: row for row in published()}
    lines = [
        '# All configs', '',
        'Made by `python -m mvit3_bench.paper.model_index` from the configs and the published figures; do not edit.', '',
        'Published metrics are percentages from the release tables of MobileViTv3 and the model zoo of CVNets, not measured',
        'here. Parameters are counted without the auxiliary head; multiply-adds are true ones at the size of the test, or',
        'of the crop where tests have any size.']
    for folder, title in _FOLDERS.items():
        cells = []
        for path, (parameters, multiply_adds) in sizes.items():
            if path.startswith(f'{folder}/'):
                what = title_of(root / 'configs' / path)
                what = re.sub(': (the|one of|no)\\b.* rows? .*', '', what)  # the column beside it says so
                figure = f'{_METRICS[rows[path].metric][1]} {rows[path].value}' if path in rows else '-'
                cells.append((f'[`{path}`](../configs/{path})', what.rstrip('.'), figure, f'{parameters / 1e6:.3f} M',
                              f'{multiply_adds / 1e6:,.1f} M'))
        columns = ('config', 'what', 'published', 'parameters', 'multiply-adds')
        lines += ['', f'## {title}', '', text.table(cells, columns, left=3).rstrip()]
    return '\n'.join(lines) + '\n'


def render(root: Path) -> dict[str, str]:
    """Path below the repository's root -> contents: index, a metafile for each task, table of all configs, counts."""
    configs = sorted(path for folder in _FOLDERS for path in (root / 'configs' / folder).glob('*.py'))
    counted = {path.relative_to(root / 'configs').as_posix(): counts.measure(Config.fromfile(path)) for path in configs}
    sizes = {path: (modules[''].parameters, modules[''].multiply_adds) for path, modules in counted.items()}
    rows = [row for row in published() if row.config in sizes]
    metafiles, measured = {}, Measured(store.read(root / store.FOLDER), {})
    for folder in sorted({row.config.partition('/')[0] for row in rows}):
        mine = [row for row in rows if row.config.startswith(folder)]
        collections = [{'Name': name, 'Metadata': {'Architecture': ['MobileViT Block']},
                        'Paper': {'Title': title, 'URL': f'https://arxiv.org/abs/{number}'}}
                       for family, (name, title, number) in _PAPERS.items() if any(row.family == family for row in mine)]
        metafiles[f'configs/{folder}/metafile.yml'] = {
            'Collections': collections, 'Models': [_model(row, *sizes[row.config], measured) for row in mine]}
    head = '# made by `python -m mvit3_bench.paper.model_index`; do not edit\n'
    index = {path: head + yaml.safe_dump(content, sort_keys=False, width=120)
             for path, content in [*metafiles.items(), ('model-index.yml', {'Import': list(metafiles)})]}
    return index | {'docs/configs.md': _table(root, sizes), counts.FILE: counts.to_csv(counted)}


def main() -> None:
    root = Path(__file__).parents[2]
    if not ((root / 'configs').is_dir() and (root / 'setup.cfg').is_file()):
        sys.exit(f'{root} is not the repository of mvit3_bench: run this from a clone, installed with pip install -e')
    for path, content in render(root).items():
        (root / path).write_text(content, encoding='utf-8')
        print(path)


if __name__ == '__main__':
    main()
