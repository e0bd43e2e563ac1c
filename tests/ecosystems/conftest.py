"""Other packages that take our backbones: `make test-ecosystems`, each in an environment of its own.

`make test` collects these tests, too; those of a package that is not installed are skipped.
"""
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ('torch', 'torchvision', 'timm', 'segmentation-models-pytorch', 'transformers', 'ultralytics', 'mmengine',
            'mmcv-lite', 'mmdet', 'mmpose', 'mmyolo', 'mmrotate', 'mmrotate-dev', 'onedl-mmrotate')


def pytest_report_header():
    """Versions of what is installed of them."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f'{name} {version(name)}')
        except PackageNotFoundError:
            pass
    return f'ecosystems: {", ".join(found)}'
