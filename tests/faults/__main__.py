"""Injects faults on purpose and counts what survives: kills, hostile checkpoints, damaged inputs, lost ranks."""
import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch
from mmengine.utils import ProgressBar

from mvit3_bench.utils import environment as machine

from . import record

ROOT = Path(__file__).resolve().parents[2]
COUNTS = dict(kills=60, hostile=100, inputs=1000, ranks=12)
MODULES = dict(ranks='rank_failures')  # of sections with another name
COMMAND = 'PYTHONPATH=tests python -m faults'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser('faults', description=__doc__, epilog=f'example: {COMMAND} --only kills --count 6')
    parser.add_argument('--only', nargs='+', choices=COUNTS, default=list(COUNTS), metavar='SECTION', help='of %(choices)s')
    parser.add_argument('--count', type=int, metavar='N', help='faults of each section (default: '
                        f'{", ".join(f"{name} {count}" for name, count in COUNTS.items())})')
    parser.add_argument('--seed', type=int, default=0, help='of all that chance decides (default: %(default)s)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/chaos'), metavar='DIR',
                        help='folder for a line of json on each fault (default: %(default)s)')
    parser.add_argument('--record', action='store_true', help=f'write the results to {record.RECORD} and {record.PAGE}')
    args = parser.parse_args()
    if args.record and args.count is not None:
        parser.error('--record is not possible with --count: what is recorded are the full numbers')
    return args


def run(section: str, args: argparse.Namespace, described: str) -> dict:
    """Inject the faults of a section, writing down each as it ends."""
    count = COUNTS[section] if args.count is None else args.count
    print(f'{section}: {count} faults', flush=True)
    module, faults, start = import_module(f'faults.{MODULES.get(section, section)}'), [], time.monotonic()
    progress = ProgressBar(count)
    with tempfile.TemporaryDirectory() as folder, open(args.out / f'{section}.jsonl', 'w', encoding='utf-8') as lines:
        for fault in module.faults(Path(folder), count, args.seed):
            faults.append(fault)
            print(json.dumps(asdict(fault)), file=lines, flush=True)
            progress.update()
    print()
    real = 'MVIT3_REAL_DATA=FOLDER ' if section == 'inputs' and os.environ.get('MVIT3_REAL_DATA') else ''
    return record.summary(faults, command=f'{real}{COMMAND} --only {section}', seed=args.seed,
                          minutes=round((time.monotonic() - start) / 60, 1), date=str(datetime.date.today()),
                          machine=described)


def main() -> None:
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sections = {}
    described = machine.line(machine.describe(torch.device('cpu')))  # before the record of a section changes the checkout
    for section in args.only:
        sections[section] = run(section, args, described)
        if args.record:
            record.write(ROOT, section, sections[section])
    print(record.table(sections))
    lost = [line for found in sections.values() for line in found['lost']]
    if lost:
        sys.exit('\n'.join([f'{len(lost)} lost:', *lost]))


if __name__ == '__main__':
    main()
