"""Reproduces the paper: its tables and figure, from the models, the published figures and the results measured here."""
import argparse
import json
from pathlib import Path

from mvit3_bench.engine import cli
from mvit3_bench.paper import fidelity, report
from mvit3_bench.paper.results import ResultError
from mvit3_bench.paper.tables import NUMBERS, TABLES

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog='example: python tools/reproduce.py --table 1 coco2017')
    parser.add_argument('--table', nargs='+', choices=[*TABLES, *NUMBERS], metavar='N|NAME', default=[],
                        help='print these tables and write nothing: %(choices)s')
    parser.add_argument('--fidelity', type=Path, metavar='REPORT',
                        help='first write docs/fidelity.md and its notes from a report of the tests (make fidelity does it all)')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', metavar='DIR',
                        help="folder of the pages; the tables' csv and the figure lie below it (default: docs)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    if not (ROOT / 'docs' / 'results').is_dir():
        raise cli.UsageError(f'{ROOT} is not the repository of mvit3_bench, where the results are: run this in a clone')
    if args.fidelity:
        with cli.user_errors(ValueError, FileNotFoundError):
            record = fidelity.make_record(args.fidelity)
        for path, content in ((fidelity.RESULTS, json.dumps(record, indent=0)), (fidelity.PAGE, fidelity.page(record))):
            (ROOT / path).write_text(content + '\n', encoding='utf-8')
            print(ROOT / path)
    with cli.user_errors(ResultError):
        measured = report.load(ROOT)
    for name in args.table:
        print(report.markdown(TABLES[NUMBERS.get(name, name)](measured)))
    if args.table:
        return
    for path, content in report.render(measured).items():
        file = args.out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding='utf-8')
        print(file)


if __name__ == '__main__':
    cli.run(main)
