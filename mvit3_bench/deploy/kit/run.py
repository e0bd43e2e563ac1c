"""Run the models of this folder on a phone that adb reaches, and write results.json. Needs Python and adb, nothing else.

    python run.py --runner litert=benchmark_model --runner executorch=executor_runner --runner ncnn=benchncnn

A runner is the program of that name, built for the phone: see https://github.com/google-ai-edge/LiteRT,
https://github.com/pytorch/executorch and https://github.com/Tencent/ncnn. What it is given besides can be added, for
instance --flags litert=--use_gpu=true. `mvit3 device --read results.json` makes a table of the results.
"""
import argparse
import array
import datetime
import json
import math
import os
import platform
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUTPUT = 'output'
_NUMBER = r'([\d.]+(?:e[+-]?\d+)?)'


class RunError(Exception):
    """A runner, adb or the phone failed; the message is all that a user needs."""


# What each runner is asked, and what it prints: milliseconds of the calls, or of groups of them.

def litert_words(model: dict, data: str, shape: list[int], threads: int, calls: int) -> list[str]:
    """Arguments of LiteRT's benchmark_model."""
    return [f'--graph={model["files"][0]}', f'--num_threads={threads}', f'--num_runs={calls}', '--warmup_runs=3',
            '--input_layer=images', f'--input_layer_shape={",".join(map(str, shape))}',
            f'--input_layer_value_files=images:{data}', f'--output_filepath={OUTPUT}']


def litert_times(text: str) -> list[float]:
    """The last line of statistics is that of the timed calls: its median, or the mean where an old runner has none."""
    lines = re.findall(rf'count=\d+.*?avg={_NUMBER}(?:.*?median={_NUMBER})?', text)
    return [float(lines[-1][1] or lines[-1][0]) / 1e3] if lines else []


def executorch_words(model: dict, data: str, shape: list[int], threads: int, calls: int) -> list[str]:
    """Arguments of ExecuTorch's executor_runner."""
    return [f'--model_path={model["files"][0]}', f'--inputs={data}', f'--output_file={OUTPUT}',
            f'--num_executions={calls}', f'--cpu_threads={threads}']


def executorch_times(text: str) -> list[float]:
    """Each call where the runner tells of it, without the first, which warms up; otherwise their mean."""
    each = [float(value) for value in re.findall(rf'Iteration \d+ of \d+: {_NUMBER} ms', text)]
    total = re.search(rf'executed successfully (\d+) time\(s\) in {_NUMBER} ms', text)
    return each[1:] or each or ([float(total[2]) / int(total[1])] if total else [])


def ncnn_words(model: dict, data: str, shape: list[int], threads: int, calls: int) -> list[str]:
    """Arguments of ncnn's benchncnn, which takes neither an input nor gives an output."""
    height, width = shape[2:]
    return [str(calls), str(threads), '0', '-1', '0', f'param={model["files"][0]}', f'shape=[{width},{height},{shape[1]}]']


def ncnn_times(text: str) -> list[float]:
    """The mean of the calls."""
    return [float(value) for value in re.findall(rf'min = +[\d.]+ +max = +[\d.]+ +avg = +{_NUMBER}', text)][-1:]


RUNNERS = dict(litert=(litert_words, litert_times), executorch=(executorch_words, executorch_times),
               ncnn=(ncnn_words, ncnn_times))


class Phone:
    """A phone that adb reaches."""
    place = '/data/local/tmp/mvit3_bench'

    def __init__(self, serial: str | None):
        self.adb = ['adb', *(['-s', serial] if serial else [])]
        self.shell(f'rm -rf {self.place} && mkdir -p {self.place}')

    def call(self, *words: str) -> str:
        """Run adb -> what it printed.

        Raises:
            RunError: There is no adb, or it failed.
        """
        try:
            done = subprocess.run([*self.adb, *words], capture_output=True, text=True, errors='replace')
        except FileNotFoundError as error:
            raise RunError('adb is not in PATH: install the Android platform tools, or give --here') from error
        return printed(done, f'adb {words[0]}')

    def shell(self, line: str) -> str:
        """Run a line in the phone's shell -> what it printed."""
        return self.call('shell', line)

    def push(self, file: Path) -> None:
        """Copy a file into the folder there."""
        self.call('push', str(file), f'{self.place}/{file.name}')

    def pull(self, name: str) -> bytes:
        """A file of the folder there, empty if there is none."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                self.call('pull', f'{self.place}/{name}', f'{folder}/file')
            except RunError:
                return b''
            return Path(folder, 'file').read_bytes()

    def run(self, program: str, words: list[str]) -> str:
        """Run a program of the folder there -> what it printed."""
        return self.shell(f'cd {self.place} && chmod +x {program} && rm -f {OUTPUT}* && ./{program} {shlex.join(words)}')

    def machine(self) -> dict:
        """Model, processor, cores and memory."""
        names = [self.shell(f'getprop {key}').strip() for key in ('ro.product.model', 'ro.soc.model')]
        memory = re.search(r'MemTotal: +(\d+)', self.shell('cat /proc/meminfo'))
        return dict(cpu=', '.join(filter(None, names)) or '?', cores=int(self.shell('nproc')),
                    memory_gb=round(int(memory[1]) * 1024 / 1e9, 1) if memory else '?',
                    android=self.shell('getprop ro.build.version.release').strip())


class Here(Phone):
    """This machine in place of a phone."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix='mvit3_bench')

    def shell(self, line: str) -> str:
        return printed(subprocess.run(line, shell=True, capture_output=True, text=True, errors='replace'), 'the runner')

    def push(self, file: Path) -> None:
        shutil.copy(file, self.place)

    def pull(self, name: str) -> bytes:
        file = Path(self.place, name)
        return file.read_bytes() if file.is_file() else b''

    def machine(self) -> dict:
        return dict(cpu=platform.processor() or platform.machine(), cores=os.cpu_count(), memory_gb='?')


def printed(done: subprocess.CompletedProcess, what: str) -> str:
    """What a program printed.

    Raises:
        RunError: It failed.
    """
    text = done.stdout + done.stderr
    if done.returncode:
        raise RunError(f'{what} failed with exit code {done.returncode}: {text.strip()[-500:]}')
    return text


def deviation(found: bytes, expected: list[bytes]) -> float | None:
    """Largest difference of float32 outputs, one behind the other, in standard deviations of those expected; None if they
    have another length, such as none.
    """
    if len(found) != sum(map(len, expected)):
        return None
    worst, start = 0.0, 0
    for each in expected:
        one, other = (array.array('f', data) for data in (found[start:start + len(each)], each))
        start += len(each)
        apart = [abs(a - b) for a, b in zip(one, other, strict=True)]
        if not all(map(math.isfinite, apart)):
            return math.inf
        worst = max(worst, max(apart) / ((statistics.stdev(other) if len(other) > 1 else 0) or 1))
    return worst


def outputs(phone: Phone, target: str, count: int) -> bytes:
    """What the latest run wrote."""
    if target == 'executorch':
        return b''.join(phone.pull(f'{OUTPUT}-{index}.bin') for index in range(count))
    return phone.pull(OUTPUT)


def run_model(phone: Phone, kit: dict, model: dict, runner: str, data: dict, args: argparse.Namespace) -> list[float]:
    """Run a model on one input -> milliseconds.

    Raises:
        RunError: The runner failed, or printed no times.
    """
    words, times = RUNNERS[model['target']]
    text = phone.run(runner, [*words(model, Path(data['file']).name, kit['shape'], args.threads, args.calls),
                              *args.flags.get(model['target'], [])])
    if not (found := times(text)):
        hint = ', which executor_runner does if it was built with -DEXECUTORCH_ENABLE_LOGGING=ON'
        raise RunError(f'{runner} printed no times{hint if model["target"] == "executorch" else ""}:\n{text.strip()[-500:]}')
    return found


def measure(phone: Phone, kit: dict, folder: Path, args: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """All models in turns, round by round: what was measured, and what could not be run."""
    measured, skipped = [], []
    for model in kit['models']:
        if model['target'] not in args.runner:
            skipped.append(dict(contender=model['name'], reason=f'no --runner for {model["target"]}'))
            continue
        runner = args.runner[model['target']]
        try:
            for file in [runner, *(folder / 'models' / name for name in model['files'])]:
                phone.push(file)
            apart = []
            for data in kit['inputs']:
                phone.push(folder / data['file'])
                run_model(phone, kit, model, runner.name, data, args)
                expected = [(folder / name).read_bytes() for name in data['expected']]
                apart.append(deviation(outputs(phone, model['target'], len(expected)), expected))
            measured.append(dict(model, runner=runner.name, rounds=[], apart=apart))
        except RunError as error:
            skipped.append(dict(contender=model['name'], reason=str(error)))
    for number in range(args.rounds):
        print(f'round {number + 1} of {args.rounds}', flush=True)
        for model in list(measured):
            try:
                model['rounds'].append(run_model(phone, kit, model, model['runner'], kit['inputs'][0], args))
            except RunError as error:
                measured.remove(model)
                skipped.append(dict(contender=model['name'], reason=str(error)))
        time.sleep(args.rest)
    return measured, skipped


def figures(kit: dict, model: dict) -> dict:
    """One row for the benchmark's tables; the 90th percentile is that of the rounds where a runner tells their middle."""
    medians = [statistics.median(each) for each in model['rounds']]
    calls = sorted(time for each in model['rounds'] for time in each)
    apart = None if None in model['apart'] else max(model['apart'])
    return dict(model=kit['name'], owner='ours', mode=model['target'], dtype=model['dtype'], batch=1, layout='',
                deviation=apart, median_ms=statistics.median(medians), p90_ms=calls[math.ceil(0.9 * len(calls)) - 1],
                images_per_s=1e3 / statistics.median(medians), memory_mb=None, calls=len(calls), round_medians_ms=medians)


def pair(word: str) -> tuple[str, str]:
    """TARGET=VALUE."""
    target, equals, value = word.partition('=')
    if not equals or target not in RUNNERS:
        raise argparse.ArgumentTypeError(f'{word!r} is not TARGET=VALUE; targets: {", ".join(RUNNERS)}')
    return target, value


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--runner', type=pair, action='append', default=[], metavar='TARGET=FILE',
                        help='program that runs the models of a target')
    parser.add_argument('--flags', type=pair, action='append', default=[], metavar='TARGET=FLAG', help='more for a runner')
    parser.add_argument('--serial', help='of the phone, where there are several')
    parser.add_argument('--here', action='store_true', help='run on this machine in place of a phone')
    for name, value, text in (('threads', 4, 'threads'), ('calls', 30, 'calls in a round'), ('rounds', 10, 'rounds')):
        parser.add_argument(f'--{name}', type=int, default=value, help=f'{text} (default: %(default)s)')
    parser.add_argument('--rest', type=float, default=5, help='seconds between rounds, to cool down (default: %(default)s)')
    args = parser.parse_args(argv)
    args.runner = {target: Path(file) for target, file in args.runner}
    args.flags = {target: [value for other, value in args.flags if other == target] for target, _ in args.flags}
    for file in args.runner.values():
        if not file.is_file():
            parser.error(f'--runner: {file} does not exist')
    if not args.runner:
        parser.error('--runner: at least one is needed')
    return args


def main(argv: list[str] | None = None, folder: Path = Path(__file__).parent) -> None:
    """Run the command."""
    args = parse(argv)
    kit = json.loads((folder / 'kit.json').read_text(encoding='utf-8'))
    try:
        phone = Here() if args.here else Phone(args.serial)
        machine = phone.machine() | dict(threads=args.threads)  # first: a phone may be gone after the last round
        measured, skipped = measure(phone, kit, folder, args)
    except RunError as error:
        sys.exit(f'error: {error}')
    content = dict(
        machine=machine, command=shlex.join(['python', *sys.argv]), date=datetime.date.today().isoformat(),
        published_top1={}, contenders=[figures(kit, each) for each in measured], ratios=[], skipped=skipped)
    (folder / 'results.json').write_text(json.dumps(content, indent=1), encoding='utf-8')
    for each in content['contenders']:
        apart = 'not compared' if each['deviation'] is None else f'{each["deviation"]:.1e} standard deviations from PyTorch'
        print(f'{each["mode"]}: median {each["median_ms"]:.2f} ms, p90 {each["p90_ms"]:.2f} ms, {apart}')
    for each in skipped:
        print(f'{each["contender"]}: {each["reason"]}')
    print(folder / 'results.json')


if __name__ == '__main__':
    main()
