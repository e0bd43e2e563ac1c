"""``python -m mvit3_bench.cli``: the command ``mvit3``."""
from .main import main

if __name__ == '__main__':
    main()
