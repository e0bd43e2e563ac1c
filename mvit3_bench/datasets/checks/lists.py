"""The checks of lists of images before the start: their lines, and the files that these name."""
from glob import escape
from pathlib import Path

from ...errors import MissingFileError, UsageError, user_errors
from ...utils.text import shown
from ..lists import read_list
from .folders import absent, cause_of_absence

_DEVKIT_VAL = (490, 361, 171, 822, 297)  # classes of the first images of ImageNet's validation, as its devkit numbers them


def check_names(name: str, file: Path, folders: tuple[Path, Path | None], suffixes: tuple[str, str]) -> list[str]:
    """Check a list of names without suffix, as VOC has them: without this, a missing file is found when its turn comes.

    Args:
        name: Key of the data set in the config, for messages.
        file: The list.
        folders: Of the images and of the masks, the latter None if there are none.
        suffixes: Of the images and of the masks.

    Returns:
        The images, by their paths below the folder.

    Raises:
        FileNotFoundError: A file that the list names is missing.
        UsageError: The list cannot be read, is empty or has an empty line.
    """
    with user_errors(ValueError):
        names = read_list(file)
    missing = [(image.removesuffix(suffix), folder, suffix)
               for folder, suffix in zip(folders, suffixes, strict=True) if folder
               for image in absent([stem + suffix for stem in names], folder)]
    if missing:
        files = (str(folder / (stem + suffix)) for stem, folder, suffix in missing)
        raise MissingFileError(f'{file} names files that are missing: {shown(files, total=True)}', file,
                               _fix(name, *missing[0], is_mask=missing[0][1] == folders[1]), '\n  ')
    return [stem + suffixes[0] for stem in names]


def _fix(name: str, stem: str, folder: Path, suffix: str, is_mask: bool) -> str:
    if (folder / stem).is_file():
        return f'the list must hold names without suffix: {Path(stem).stem} in place of {stem}'
    first = stem.split()[0]
    if first != stem and stem.startswith('/') or '/SegmentationClass' in stem:
        return (f'the list is in the format of DeepLab, an image and its mask in each line: write names alone, '
                f'{Path(first).stem} in place of {stem}')
    if first != stem and (folder / (first + suffix)).is_file():
        return f'the list must hold names without suffix and label: {first} in place of {stem}'
    files = folder.glob(f'{escape(stem.lstrip("/"))}.*')
    others = sorted(path.name[len(Path(stem).name):] for path in files if path.is_file())
    if others:
        return (f'the file ends in {shown(others)}: set {name}.{"seg_map_suffix" if is_mask else "img_suffix"}, which is '
                'case-sensitive')
    return cause_of_absence(stem + suffix, folder) or 'add them, or take their names from the list'


def check_labelled(file: Path, folder: Path, num_classes: int | None) -> list[str]:
    """Check a list of files and numbers of classes, as ImageNet has them.

    Args:
        file: The list.
        folder: The folder that its files are below.
        num_classes: Number of classes of the model, None if it is not known.

    Returns:
        The images, by their paths below the folder.

    Raises:
        FileNotFoundError: A file that the list names is missing.
        UsageError: The list cannot be read, is empty, or has a line that is not a file and the number of its class.
    """
    with user_errors(ValueError):
        lines = read_list(file)
    most, names, labels = num_classes or float('inf'), [], []
    for number, line in enumerate(lines, start=1):
        name, _, label = line.rpartition(' ')
        if not (name and label.isdecimal() and int(label) < most):
            raise UsageError(f'{file}, line {number}: {line[:100]!r} is not a file and the number of its class'
                             + (f', 0 to {num_classes - 1}' if num_classes else ''), file)
        if name != name.rstrip():
            raise UsageError(f'{file}, line {number}: {line[:100]!r} has more than one space between file and class',
                             file, 'leave one', ': ')
        names.append(name)
        labels.append(int(label))
    if missing := absent(names, folder):
        first = missing[0]
        raise MissingFileError(
            f'{file}, line {names.index(first) + 1}: {folder / first} is no file'
            + (f', nor are those of {len(missing) - 1} other lines' if len(missing) > 1 else ''), file,
            (cause_of_absence(first, folder) or f'names are relative to {folder}, without {folder.name}/ before them')
            + f'. A list wins over folders: remove {file} if the images are sorted into folders of classes', '\n  ')
    _check_imagenet_order(file, dict(zip(names, labels, strict=True)))
    return names


def _check_imagenet_order(file: Path, labels: dict[str, int]) -> None:
    """Check that a list of ImageNet's validation numbers the classes in the order of their synsets, as all weights do.

    Raises:
        UsageError: The devkit's numbers stand behind its first images, with which the top-1 is 0.1 %.
    """
    found = [labels.get(f'ILSVRC2012_val_{number:08d}.JPEG') for number in range(1, len(_DEVKIT_VAL) + 1)]
    if found in (list(_DEVKIT_VAL), [label - 1 for label in _DEVKIT_VAL]):
        raise UsageError(f'{file}: ILSVRC2012_val_00000001.JPEG has the class {found[0]}, in the order of synsets it is 65',
                         file, "these are the devkit's numbers (ILSVRC2012_ID): number the classes by their sorted synsets, "
                         'n01440764 is 0', '\n  ')
