"""OpenMMLab's model index: `model-index.yml` and a metafile for each task, generated from the configs and published figures.

    python -m mvit3_bench.paper.model_index    # in the repository: writes them anew
"""
from pathlib import Path

import torch
import yaml
from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..complexity import count, input_size
from ..registry import MODELS
from .published import Published, published

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
_DATASETS = dict(imagenet1k='ImageNet-1k', coco2017='COCO', voc2012='Pascal VOC 2012 + Aug', ade20k='ADE20K')


def _model(root: Path, row: Published) -> dict:
    cfg = Config.fromfile(root / 'configs' / row.config)
    init_default_scope(cfg.default_scope)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    counts = count(model, input_size(cfg))
    auxiliary = counts.get('auxiliary_head')
    task, metric = _METRICS[row.metric]
    return {
        'Name': Path(row.config).stem,
        'In Collection': _PAPERS[row.family][0],
        'Config': f'configs/{row.config}',
        'Metadata': {
            'Parameters': counts[''].parameters - (auxiliary.parameters if auxiliary else 0),
            'FLOPs': counts[''].multiply_adds,
            'Training Data': _DATASETS[row.dataset],
            'Origin of Results': f'published ({row.source}), not measured here'},
        'Results': [{'Task': task, 'Dataset': _DATASETS[row.dataset], 'Metrics': {metric: row.value}}]}


def render(root: Path) -> dict[str, str]:
    """Path below the repository's root -> contents, for the index and each metafile."""
    rows = [row for row in published() if (root / 'configs' / row.config).is_file()]
    metafiles = {}
    for folder in sorted({row.config.partition('/')[0] for row in rows}):
        mine = [row for row in rows if row.config.startswith(folder)]
        collections = [{'Name': name, 'Metadata': {'Architecture': ['MobileViT Block']},
                        'Paper': {'Title': title, 'URL': f'https://arxiv.org/abs/{number}'}}
                       for family, (name, title, number) in _PAPERS.items() if any(row.family == family for row in mine)]
        metafiles[f'configs/{folder}/metafile.yml'] = {
            'Collections': collections, 'Models': [_model(root, row) for row in mine]}
    head = '# made by `python -m mvit3_bench.paper.model_index`; do not edit\n'
    return {path: head + yaml.safe_dump(content, sort_keys=False, width=120)
            for path, content in [*metafiles.items(), ('model-index.yml', {'Import': list(metafiles)})]}


def main() -> None:
    root = Path(__file__).parents[2]
    for path, content in render(root).items():
        (root / path).write_text(content, encoding='utf-8')
        print(path)


if __name__ == '__main__':
    main()
