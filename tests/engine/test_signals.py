"""Signals where a system lacks some of what Linux has."""
import os
import runpy
import signal

import mvit3_bench.compat  # noqa: F401
from mvit3_bench.registry import HOOKS

MODULE = 'mvit3_bench.engine.hooks.preemption'


def test_names_that_windows_lacks(monkeypatch):
    """Without os.EX_TEMPFAIL and SIGUSR1 the module of the hook is imported all the same, with the same exit code."""
    monkeypatch.delattr(os, 'EX_TEMPFAIL')
    monkeypatch.delattr(signal, 'SIGUSR1')
    monkeypatch.setattr(HOOKS, 'register_module', lambda **_: lambda hook: hook)  # it is there already
    names = runpy.run_module(MODULE)
    assert names['EXIT_CODE'] == 75
    assert names['_SIGNALS'] == [signal.SIGTERM, signal.SIGINT]
