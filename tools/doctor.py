"""Say what is wrong before a run starts: the command `mvit3 doctor`."""
from mvit3_bench.cli import doctor
from mvit3_bench.cli.common import run

if __name__ == '__main__':
    run(doctor, 'python tools/doctor.py')
