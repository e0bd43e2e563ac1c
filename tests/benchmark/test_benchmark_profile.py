"""The profile: every kind of operator has its place, and the table adds up."""
import re
import sys

import pytest

from mvit3_bench.benchmark import profile


@pytest.mark.parametrize('operator, kind', [
    ('aten::mkldnn_convolution', 'convolution'), ('ConvolutionBackward0', 'convolution'),
    ('Convolution, f32', 'convolution'),
    ('aten::addmm', 'product'), ('FullyConnected, f32', 'product'), ('aten::_fused_adamw_', 'optimiser'),
    ('aten::_scaled_dot_product_flash_attention_for_cpu', 'attention'), ('aten::native_batch_norm', 'norm'),
    ('MVN, f32', 'norm'),
    ('aten::silu_', 'activation'), ('QuickGelu', 'activation'), ('aten::copy_', 'copy'), ('Transpose', 'copy'),
    ('graph_0_cpp_fused_silu_1', 'fused'), ('aten::mean', 'others')])
def test_kinds(operator, kind):
    """Names of torch and of the runtimes."""
    assert profile.kind_of(operator) == kind


def test_table(monkeypatch, capsys):
    """A row for each mode; the kinds of a row add up to its milliseconds, and what a network is made of is there."""
    words = ['profile', 'cls/mvit3_xxs_in1k', '--modes', 'eager', 'onnxruntime', '--batch-size', '1']
    monkeypatch.setattr(sys, 'argv', words)
    monkeypatch.setattr(profile, 'keep_freed_memory', lambda: True)  # of this process, too
    profile.main()
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines()
            if re.match(r'\| mvit3', line)]
    assert [row[:3] for row in rows] == [['mvit3_xxs_in1k', 'ours', mode] for mode in ('eager', 'onnxruntime')]
    for row in rows:
        total, *kinds = map(int, row[3:])
        assert abs(total - sum(kinds)) <= len(kinds) / 2 + 1
        assert kinds[list(profile.KINDS).index('convolution')] > 0 and kinds[list(profile.KINDS).index('product')] > 0
