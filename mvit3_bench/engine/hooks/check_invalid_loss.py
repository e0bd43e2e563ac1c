"""Stop training, and do not save, when the loss or the weights are NaN or infinite."""
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ...errors import DivergedError
from ...registry import HOOKS


def advice(runner: Runner) -> str:
    """Advice on how to go on after a training has diverged."""
    last = runner.message_hub.runtime_info.get('last_ckpt')
    lower = '--cfg-options optim_wrapper.optimizer.lr=...'
    if last is None:
        return f'there is no checkpoint yet: start again with a lower learning rate, {lower}'
    return (f'the last checkpoint is finite: {last}\n  if the data was the cause, fix it and go on with --resume; if not, '
            'lower the learning rate, which a resumed run\n  would take from the checkpoint: start from its weights, with '
            f'another --work-dir and {lower} load_from={last}')


def not_finite(tree, name: str = '') -> list[str]:
    """Names of the tensors with NaN or infinite values, in nested dictionaries and lists."""
    if isinstance(tree, Tensor):
        return [] if not tree.is_floating_point() or bool(torch.isfinite(tree).all()) else [name]
    parts = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else ()
    return [found for key, part in parts for found in not_finite(part, f'{name}.{key}' if name else str(key))]


# the second name stands in the configs of work dirs that an earlier version wrote
@HOOKS.register_module(name=['CheckInvalidLossHook', 'FiniteLossHook'])
class CheckInvalidLossHook(Hook):
    """Stop the training when the loss is NaN or infinite.

    A step that mixed precision skips because of its gradients does not count, since its loss is finite.

    Raises:
        DivergedError: The message names epoch, iteration, learning rate, the parts of the loss and the files of the batch.
    """
    priority = 'VERY_HIGH'  # before the weights are averaged

    def after_train_iter(self, runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if torch.isfinite(outputs['loss'].detach()):
            return
        values = {key: float(value.detach()) for key, value in outputs.items() if 'loss' in key}
        samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
        files = [str(sample.img_path) for sample in samples if 'img_path' in sample]
        for key, rates in runner.optim_wrapper.get_lr().items():
            values |= {key if number == 0 else f'{key} of group {number}': rate for number, rate in enumerate(rates)
                       if rate not in rates[:number]}
        raise DivergedError(
            f'the loss is not finite in epoch {runner.epoch + 1}, iteration {batch_idx + 1} ({runner.iter + 1} in all)\n  '
            + ', '.join(f'{key} {value:.4g}' for key, value in values.items())
            + (f'\n  images: {", ".join(files)}' if files else ''), fix=advice(runner), joint='\n  ')
