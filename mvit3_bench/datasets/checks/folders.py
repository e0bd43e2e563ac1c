"""The checks of folders before the start: what is in them, whether each image has its mask, and classes their number."""
import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.logging import print_log

from ...errors import MissingFileError, UsageError
from ...utils.text import not_text, shown

_IMAGES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # what is meant for one, in either case
_SYNSET = re.compile(r'n\d{8}')


@dataclass
class Listing:
    """What is in and below a folder.

    Args:
        folder: The folder.
        files: Paths of its files below it, without hidden ones, which the frameworks pass over.
        broken: Links to nothing, or to a folder that holds them.
    """
    folder: Path
    files: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def check_links(self) -> 'Listing':
        """Itself.

        Raises:
            FileNotFoundError: A link is broken: the frameworks pass over one to nothing, and follow one upwards many times.
        """
        if self.broken:
            raise MissingFileError(f'{len(self.broken)} links lead to files that are missing, or to a folder that holds '
                                   f'them: {shown(self.broken)}', self.broken[0], 'put the files there, or remove the links',
                                   '\n  ')
        return self

    def suffixes(self) -> str:
        """The suffixes of its files, counted."""
        counts = Counter(os.path.splitext(file)[1] or 'no suffix' for file in self.files).most_common()
        return shown(f'{suffix} ({count})' for suffix, count in counts) or 'no file'


def list_folder(folder: Path) -> Listing:
    """List a folder once, opening no file."""
    found = Listing(folder)

    def visit(path: str, prefix: str) -> None:
        for entry in os.scandir(path):
            if entry.is_file():
                if not entry.name.startswith('.'):
                    found.files.append(prefix + entry.name)
            elif entry.is_symlink() and _leads_nowhere(Path(entry.path)):
                found.broken.append(entry.path)
            elif entry.is_dir():
                visit(entry.path, f'{prefix}{entry.name}/')
    visit(str(folder), '')
    return found


def _leads_nowhere(link: Path) -> bool:
    return not link.exists() or link.parent.resolve().is_relative_to(link.resolve())


def absent(names: list[str], folder: Path) -> list[str]:
    """Those names that are no file below a folder; only the folders that they mention are listed, each once."""
    files = set()
    for parent in dict.fromkeys(map(os.path.dirname, names)):
        if os.path.isdir(os.path.join(folder, parent)):
            files.update(os.path.join(parent, entry.name) for entry in os.scandir(os.path.join(folder, parent))
                         if entry.is_file())
    # `..` and the like are looked up
    return [name for name in names if name not in files and not os.path.isfile(os.path.join(folder, name))]


def cause_of_absence(name: str, folder: Path) -> str:
    """Why a name is no file below a folder, with the fix, if that is one of the usual mistakes; otherwise empty."""
    slashed = name.replace('\\', '/')
    if slashed != name and (folder / slashed).is_file():
        return f'the name has backslashes, as on Windows: write {slashed}'
    parts = Path(slashed).parts
    for number in range(1, len(parts)):
        if (folder / Path(*parts[number:])).is_file():
            return (f'names are relative to {folder}, without {Path(*parts[:number])}/ before them: write '
                    f'{Path(*parts[number:])}')
    parent = (folder / slashed).parent
    for path in parent.iterdir() if parent.is_dir() else ():
        if path.name != parts[-1] and path.name.lower() == parts[-1].lower():
            return f'the file is {path.name}: upper and lower case differ'
        if path.stem == Path(parts[-1]).stem and path.is_file():
            return f'there is {path.name}, of another suffix'
    return ''


def check_pairs(name: str, images: Path, masks: Path | None, suffixes: tuple[str, str]) -> list[str]:
    """Check that each image of a folder has a mask of its name; warn of files that take no part.

    Args:
        name: Key of the data set in the config, for messages.
        images: Folder of the images.
        masks: Folder of the masks; None if there are none.
        suffixes: Of the images and of the masks, in this case.

    Returns:
        The images, by their paths below the folder.

    Raises:
        FileNotFoundError: An image has no mask, or a link is broken.
        UsageError: The folder has no image of this suffix.
    """
    suffix, mask_suffix = suffixes
    listing = list_folder(images).check_links()
    found = [file for file in listing.files if file.endswith(suffix)]
    if not found:
        raise UsageError(f'{name}: no file in {images} ends in {suffix}; there are: {listing.suffixes()}',
                         images, f'set {name}.img_suffix to their suffix, which is case-sensitive, or put images there',
                         '\n  ')
    others = [file for file in listing.files if file.lower().endswith(_IMAGES) and not file.endswith(suffix)
              and not (images == masks and file.endswith(mask_suffix))]
    _warn(images, others, f'do not end in {suffix} ({name}.img_suffix)')
    if masks is None:
        return found
    labels = list_folder(masks).check_links()
    stems = {file[:-len(mask_suffix)] for file in labels.files if file.endswith(mask_suffix)}
    if missing := sorted(file for file in found if file[:-len(suffix)] not in stems):
        other_suffix = labels.files and not stems
        hint = f'there are: {labels.suffixes()}; set {name}.seg_map_suffix, case-sensitive, or ' if other_suffix else ''
        raise MissingFileError(
            f'{name}: {len(missing)} of {len(found)} images in {images} have no mask (*{mask_suffix}) in {masks}: '
            f'{shown(missing, total=True)}', masks, f'{hint}add their masks, or take the images away', '\n  ')
    _warn(masks, [stem + mask_suffix for stem in stems - {file[:-len(suffix)] for file in found}],
          f'are masks without an image in {images}')
    return found


def _warn(folder: Path, files: list[str], reason: str) -> None:
    if files:
        print_log(f'{folder}: {len(files)} files {reason} and take no part: {shown(sorted(files))}', logger='current',
                  level=logging.WARNING)


def class_folders(folder: Path) -> set[str]:
    """The folders that mmpretrain takes for classes; hidden ones too."""
    return {entry.name for entry in os.scandir(folder) if entry.is_dir()}


def check_classes(folder: Path, folders: dict[Path, set[str]], num_classes: int | None, fix: str, synsets: bool) -> None:
    """Check the class folders of a data set: mmpretrain numbers them in alphabetical order, so one more or less shifts
    the numbers behind it, and other names mean other classes.

    Args:
        folder: The folder that holds them.
        folders: Folder -> class folders, of all data sets of the config.
        num_classes: Number of classes of the model, None if it is not known.
        fix: What to do where the number is wrong.
        synsets: Whether names must be those of ImageNet, ``n`` and eight digits.

    Raises:
        FileNotFoundError: A class is missing.
        UsageError: There are more than the model has, foreign ones, or not those of another data set.
    """
    found = folders[folder]
    if found == {folder.name}:
        raise MissingFileError(f'{folder} has one folder, {folder / folder.name}: the folders of classes are one level too '
                               'deep', folder, f'move them up, into {folder}', '\n  ')
    if odd := not_text(sorted(found)):
        raise UsageError(f'{folder}: names of folders of classes are not UTF-8: {shown(odd, total=True)}', folder,
                         'rename them: checkpoints and pictures have the names of classes')
    if synsets and (foreign := sorted(name for name in found if not _SYNSET.fullmatch(name))):
        raise UsageError(f'{folder} has folders that are no class of ImageNet, which is named n and eight digits: '
                         f'{shown(foreign, total=True)}', folder,
                         'remove them, or set metainfo.classes and num_classes to your own', '\n  ')
    if num_classes not in (None, len(found)):
        missing = sorted(set().union(*folders.values()) - found)
        same = [str(other) for other, names in folders.items() if other != folder and names == found]
        lines = [f'{folder} has {len(found)} folders of classes, the model has {num_classes} classes']
        if missing:
            lines.append(f'missing: {shown(missing, total=True)}')
        elif same and len(found) < num_classes:
            lines.append(f'the same folder is missing in {" and ".join([str(folder), *same])}')
        if len(found) > num_classes or not (missing or same):
            lines.append(f'found: {shown(sorted(found), total=True)}')
        raise (MissingFileError if len(found) < num_classes else UsageError)('\n  '.join(lines), folder, fix, '\n  ')
    for other, names in folders.items():
        if names != found and (num_classes is None or len(names) == num_classes):  # else the fault is the other's
            only = [f'only in {place.name if place.name != alien.name else place}: {shown(sorted(left), total=True)}'
                    for place, alien, left in ((folder, other, found - names), (other, folder, names - found)) if left]
            raise UsageError(f'{folder} and {other} have other folders of classes: {", ".join(only)}', folder,
                             'classes are numbered by their folders in alphabetical order: give both the same folders',
                             '\n  ')


def check_class_names(name: str, folder: Path, classes: Sequence[str] | None) -> None:
    """Check that names for the classes, if they are those of the folders, stand in the order in which these are numbered.

    Raises:
        UsageError: They stand in another.
    """
    order = sorted(class_folders(folder))
    if classes and list(classes) != order and sorted(classes) == order:
        raise UsageError(f'{name}: metainfo.classes={tuple(classes)} names the folders of {folder} in another order than '
                         f'they are numbered in: {shown(order)}', name,
                         'leave metainfo.classes out, or put the names in this order, that of the alphabet', '\n  ')


def check_images(name: str, folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    """The images in the class folders of a data set, by their paths below the folder.

    Raises:
        FileNotFoundError: A link is broken.
        UsageError: There is none of these suffixes.
    """
    listing = list_folder(folder).check_links()
    found = [file for file in listing.files if '/' in file and file.lower().endswith(suffixes)]
    if not found:
        raise UsageError(f'{name}: the folders of classes in {folder} have no image ({", ".join(suffixes)}); there are: '
                         f'{listing.suffixes()}', folder, f'put images there, or set {name}.extensions', '\n  ')
    return found
