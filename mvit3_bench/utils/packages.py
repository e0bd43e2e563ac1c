"""Versions of installed packages, without importing them. Needs nothing but Python."""
import functools
from importlib.metadata import packages_distributions, version


@functools.cache
def distributions() -> dict[str, list[str]]:
    """Import name -> distributions; reading it takes a second, since every installed package is looked at."""
    return packages_distributions()


def named(name: str) -> str:
    """The version of a package that is not to be imported, with the distribution it is of where that has another name."""
    found = distributions().get(name, [])
    return ', '.join(version(each) + (f' ({each})' if each.lower() != name else '') for each in dict.fromkeys(found)) or '?'
