"""Names that hooks had before: work dirs have them in their dumped configs."""
import pytest

from mvit3_bench.registry import HOOKS


@pytest.mark.parametrize('old, new', [
    ('FiniteLossHook', 'CheckInvalidLossHook'), ('StopHook', 'PreemptionHook'), ('RunRecordHook', 'RunInfoHook')])
def test_old_names(old, new):
    """An old name is the same class."""
    assert HOOKS.get(f'mvit3_bench.{old}') is HOOKS.get(f'mvit3_bench.{new}') is not None
