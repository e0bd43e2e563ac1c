"""Reproduce the paper's tables and figure and the leaderboard: from models, published figures and results measured here."""
import argparse
import json
from pathlib import Path

from ..errors import user_errors
from .common import ROOT, check_checkout

EXAMPLE = '--table 1 coco2017'
# those of paper.tables, as a test compares
TABLES = ('architecture', 'imagenet1k', 'coco2017', 'voc2012', 'ade20k', 'ablation', 'latency', 'runs')
NUMBERS = ('1', '6')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument('--table', nargs='+', choices=[*TABLES, *NUMBERS], metavar='N|NAME', default=[],
                        help='print these tables and write nothing: %(choices)s')
    parser.add_argument('--fidelity', type=Path, metavar='REPORT',
                        help='first write docs/fidelity.md and its notes from a report of the tests '
                             '(make fidelity does it all)')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', metavar='DIR',
                        help="folder of the pages; the tables' csv and the figure lie below it (default: docs)")


def main(args: argparse.Namespace) -> None:
    """Run the command."""
    check_checkout('run this in a clone')
    from ..leaderboard import page
    from ..leaderboard.measured import read
    from ..paper import fidelity, report, tables
    if args.fidelity:
        with user_errors(ValueError, FileNotFoundError):
            record = fidelity.make_record(args.fidelity)
        notes = json.dumps(record, indent=0) + '\n'
        for path, content in ((fidelity.RESULTS, notes), (fidelity.PAGE, fidelity.page(record))):
            (ROOT / path).write_text(content, encoding='utf-8')
            print(ROOT / path)
    measured = report.load(ROOT)
    for name in args.table:
        print(report.markdown(tables.TABLES[tables.NUMBERS.get(name, name)](measured)))
    if args.table:
        return
    for path, content in (report.render(measured) | page.render(read())).items():
        file = args.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding='utf-8')
        print(file)
