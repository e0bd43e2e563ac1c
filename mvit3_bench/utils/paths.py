"""Where the configs, the tools and the model index are, in a checkout and in an installed package."""
from pathlib import Path

# OpenMMLab's place for what a package brings besides its modules: configs, tools, model index. In a checkout they are links,
# for which git leaves text files on a system without; there the repository itself is the place.
MIM = Path(__file__).parents[1] / '.mim'
if not (MIM / 'configs').is_dir():
    MIM = Path(__file__).parents[2]
