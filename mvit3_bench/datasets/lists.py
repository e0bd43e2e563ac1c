"""Reading lists: text files with a name in each line, as VOC and ImageNet have them."""
from codecs import BOM_UTF8
from pathlib import Path


def read_list(file: Path) -> list[str]:
    """The lines of a list, without white space at their ends.

    Args:
        file: The list.

    Raises:
        FileNotFoundError: It does not exist.
        ValueError: It is a folder, has no line or an empty one, or is not UTF-8 without a byte order mark, which the
            frameworks would take for a part of the first name.
    """
    if file.is_dir():
        raise ValueError(f'{file} is a folder, not a list: name a text file with an image in each line')
    content = file.read_bytes()
    try:
        text = content.decode('utf-8')
    except UnicodeDecodeError:
        text = '\0'
    if content.startswith(BOM_UTF8) or '\0' in text:
        raise ValueError(f'{file} is not UTF-8 text without BOM: save it as UTF-8')
    lines = [line.strip() for line in text.replace('\r\n', '\n').replace('\r', '\n').removesuffix('\n').split('\n')]
    if not any(lines):
        raise ValueError(f'{file} is empty: write a name in each line, or name another list')
    if '' in lines:
        raise ValueError(f'{file}, line {lines.index("") + 1} is empty: remove it')
    return lines
