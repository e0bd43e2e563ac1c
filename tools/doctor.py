"""What is wrong with packages, data, config and disk, before a run starts; without a config: what is on this machine."""
import contextlib
import json
import sys
from dataclasses import asdict

from mvit3_bench.analysis.doctor.finding import ERROR, Finding, table
from mvit3_bench.analysis.doctor.packages import REQUIRED, examine_packages


def parse_args():
    parser = cli.parser(__doc__, 'python tools/doctor.py configs/seg/deeplabv3_mvit3_1.0_ade20k.py --mini',
                        needs_config=False)
    parser.add_argument('--processes', type=int, default=1, metavar='N',
                        help='how many processes (GPUs) of this machine the run will have (default: %(default)s)')
    parser.add_argument('--samples', type=int, default=8, metavar='N',
                        help='how many samples of each data set to decode and transform (default: %(default)s)')
    parser.add_argument('--json', action='store_true', help='print a list of findings for machines, and nothing else')
    return parser.parse_args()


def examine(args) -> list[Finding]:
    """All findings of a command line."""
    from mmengine.registry import init_default_scope

    from mvit3_bench.analysis.doctor.data import examine_data, examine_roots
    from mvit3_bench.analysis.doctor.disk import examine_disk
    from mvit3_bench.analysis.doctor.plan import Plan
    from mvit3_bench.analysis.doctor.settings import examine_settings
    cfg = cli.load_config(args) if args.config else None
    findings = list(examine_packages(cfg and cfg.get('default_scope')))
    if cfg is None:
        return [*findings, *examine_roots()]
    if any(each.level == ERROR and each.name == cfg.get('default_scope') for each in findings):
        return findings  # without its framework, nothing of the config can be built
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    plan = Plan(cfg, cli.read_config(args.config), args.cfg_options or {}, args.processes, args.samples)
    return [*findings, *examine_data(plan, args.mini), *examine_settings(plan), *examine_disk(plan)]


def main():
    args = parse_args()
    for name, value in (('--processes', args.processes), ('--samples', args.samples)):
        if value < 1:
            raise cli.UsageError(f'{name} {value} is not possible; allowed: whole numbers from 1')
    with contextlib.redirect_stdout(sys.stderr):  # what frameworks print is not for who reads the findings
        findings = examine(args)
    show(findings, args.json)


def show(findings: list[Finding], as_json: bool) -> None:
    """Print the findings; with an error among them the exit code is 1."""
    print(json.dumps([asdict(each) for each in findings], indent=1) if as_json else table(findings))
    sys.exit(int(any(each.level == ERROR for each in findings)))


if __name__ == '__main__':
    try:
        from mvit3_bench.engine import cli
    except Exception as error:  # packages are missing or do not fit each other: which, is all that can be said
        with contextlib.redirect_stdout(sys.stderr):
            found = list(examine_packages(None))
        if not any(each.level == ERROR for each in found):
            found.append(Finding('packages', 'mvit3_bench', ERROR, f'cannot be imported: {type(error).__name__}: {error}',
                                 f'install versions of {", ".join(REQUIRED)} that fit each other'))
        show(found, '--json' in sys.argv)
    cli.run(main)
