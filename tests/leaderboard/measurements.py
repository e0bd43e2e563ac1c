"""A small file of ``mvit3 leaderboard``, with figures that can be told by heart."""

# build -> parameters in millions, multiply-adds in millions, ratio to the anchor in ONNX Runtime
FIGURES = {
    'mvit3_xxs': (1.25, 330, 2.0),
    'mvit3_xs': (2.5, 970, 4.0),
    'mvit3_s': (5.75, 1830, 8.0),
    'mvit2_0.5': (1.4, 470, 1.5),
    'timm/edgenext_xx_small': (1.3, 190, 1.0),
    'timm/edgenext_small': (5.6, 970, 3.0),
    'timm/mobilenetv3_large_100': (5.5, 220, 1.0),
    'torchvision/shufflenet_v2_x1_0': (2.3, 145, 0.9),
}
ANCHOR_MS = dict(onnxruntime={'1': 3.0, '8': 24.0}, openvino={'1': 2.0})
HEADS = dict(onnxruntime_ssdlite=(3, 2), onnxruntime_deeplabv3=(10, 8))  # times the latency, times the multiply-adds


def cell(ratio: float, anchor: float, **counts: int) -> dict:
    """The figures of a cell; the machine was 10 % slower than in the median of the run."""
    return dict(median_ms=1.1 * ratio * anchor, quartile_1_ms=ratio * anchor, quartile_3_ms=1.2 * ratio * anchor,
                anchor_ms=1.1 * anchor, ratio=ratio, ratio_quartile_1=0.95 * ratio, ratio_quartile_3=1.05 * ratio, calls=70,
                deviation=1e-6, **counts)


def content() -> dict:
    """What the file holds. OpenVINO's ratios are half of ONNX Runtime's; EdgeNeXt-S has no DeepLabv3."""
    models = {}
    for build, (parameters, multiply_adds, ratio) in FIGURES.items():
        counts = dict(parameters=round(parameters * 1e6), multiply_adds=multiply_adds * 1_000_000)
        cells = dict(onnxruntime={batch: cell(ratio, anchor) for batch, anchor in ANCHOR_MS['onnxruntime'].items()},
                     openvino={'1': cell(ratio / 2, ANCHOR_MS['openvino']['1'])})
        for form, (slower, more) in HEADS.items():
            with_head = dict(parameters=counts['parameters'] + 500_000, multiply_adds=more * counts['multiply_adds'])
            cells[form] = {'1': cell(slower * ratio, ANCHOR_MS['onnxruntime']['1'], **with_head)}
        models[build] = dict(size=256, **counts, seconds=100.0, measured='2025-01-01T00:00:00', cells=cells, skipped={})
    del models['timm/edgenext_small']['cells']['onnxruntime_deeplabv3']
    models['timm/edgenext_small']['skipped']['onnxruntime_deeplabv3'] = 'it takes no images of 512x512'
    spread = {f'{runtime}/{batch}': dict(
        min_ms=0.9 * anchor, quartile_1_ms=0.95 * anchor, median_ms=anchor, quartile_3_ms=1.05 * anchor, max_ms=2 * anchor,
        models=len(FIGURES)) for runtime, batches in ANCHOR_MS.items() for batch, anchor in batches.items()}
    machine = dict(cpu='A processor', cores=2, threads=2, memory_gb=16.0, python='3.11.0')
    return dict(machine=machine, versions=dict(torch='2.6'), command='mvit3 leaderboard', date='2025-01-01',
                threads=2, rounds=7, anchor='timm/mobilenetv3_large_100', anchor_spread=spread, models=models)
