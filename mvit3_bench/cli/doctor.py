"""Say what is wrong with packages, data, config and disk before a run; without a config, what is on this machine."""
import argparse
import contextlib
import json
import sys
from dataclasses import asdict

from ..doctor.finding import ERROR, Finding, table
from ..doctor.packages import REQUIRED, examine_packages
from .common import add_run_flags, check_least, lines

EXAMPLE = 'configs/seg/deeplabv3_mvit3_1.0_ade20k.py --mini'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    add_run_flags(parser, needs_config=False)
    parser.add_argument('--processes', type=int, default=1, metavar='N',
                        help='how many processes (GPUs) of this machine the run will have (default: %(default)s)')
    parser.add_argument('--samples', type=int, default=8, metavar='N',
                        help='how many samples of each data set to decode and transform (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print a list of findings for machines, and nothing else')


def unimportable() -> list[Finding]:
    """What is wrong with the packages, where they keep this one from being imported; nothing if it can be."""
    try:
        from ..engine import run_config  # noqa: F401
        return []
    except Exception as error:  # packages are missing or do not fit each other: which, is all that can be said
        found = list(examine_packages(None))
        if not any(each.level == ERROR for each in found):
            found.append(Finding('packages', 'mvit3_bench', ERROR, f'cannot be imported: {type(error).__name__}: {error}',
                                 f'install versions of {", ".join(REQUIRED)} that fit each other'))
        return found


def examine(args: argparse.Namespace) -> list[Finding]:
    """All findings of a command line."""
    from mmengine.registry import init_default_scope

    from ..doctor.data import examine_data, examine_roots
    from ..doctor.disk import examine_disk
    from ..doctor.plan import Plan
    from ..doctor.settings import examine_settings
    from ..engine import options as cfg_options
    from ..engine import run_config
    from ..registry import scope_of
    cfg = run_config.load_config(args, check_options=False) if args.config else None
    findings = list(examine_packages(cfg and cfg.get('default_scope')))
    if cfg is None:
        return [*findings, *examine_roots()]
    if any(each.level == ERROR and each.name == cfg.get('default_scope') for each in findings):
        return findings  # without its framework, nothing of the config can be built
    init_default_scope(scope_of(cfg))
    options = cfg_options.parse_options(args.cfg_options)
    plan = Plan(cfg, run_config.read_config(args.config), options, args.processes, args.samples)
    return [*findings, *examine_data(plan, args.mini), *examine_settings(plan), *examine_disk(plan)]


def main(args: argparse.Namespace) -> None:
    """Run the command; with an error among the findings the exit code is 1."""
    check_least('--processes', args.processes)
    check_least('--samples', args.samples)
    with contextlib.redirect_stdout(sys.stderr):  # what frameworks print is not for who reads the findings
        findings = unimportable() or examine(args)
    print(json.dumps([asdict(each) for each in findings], indent=1) if args.json else lines(table(findings)))
    sys.exit(int(any(each.level == ERROR for each in findings)))
