# Each target sets itself up: `make quickstart` and `make test` are all a fresh machine needs.
PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python
READY = $(VENV)/.ready
FAULTS = --record
# processes that `make test` runs in
WORKERS ?= 2
CONFIG = configs/seg/deeplabv3_mvit3_1.0_ade20k.py
WORK = work_dirs/quickstart
# a page that runs a model, in the documentation
LIVE = docs/_example/live
LIVE_RUN = work_dirs/live_example
LIVE_CONFIG = configs/seg/deeplabv3_mvit3_0.5_ade20k.py
LIVE_EXAMPLE = data/mini/ade/ADEChallengeData2016/images/validation/ADE_val_00000001.jpg

.PHONY: help quickstart test fidelity test-all test-stacks test-ecosystems test-runtimes chaos docs lint clean

help:
	@echo 'make quickstart   train, test and draw MobileViTv3 on miniature data (minutes on two CPU cores)'
	@echo 'make test         the tests, without those that need minutes'
	@echo 'make test-all     all tests'
	@echo 'make fidelity     compare training and evaluation with the published ones, and write docs/fidelity.md'
	@echo 'make test-runtimes  exported models in LiteRT, ExecuTorch, ncnn, Core ML, ONNX Runtime and OpenVINO, an environment each (30 GB)'
	@echo 'make chaos        kills, hostile checkpoints, damaged inputs, lost ranks: what survives (under 45 minutes; FAULTS=--help)'
	@echo 'make test-stacks  the tests with other versions of Python, torch and OpenMMLab (STACKS=--list lists them)'
	@echo 'make test-ecosystems  timm, segmentation_models_pytorch, transformers, Ultralytics, mmpose ... with our backbones (15 GB)'
	@echo 'make docs         the documentation as a site: docs/_build/html/index.html'
	@echo 'make lint         ruff, and who imports whom'
	@echo 'make clean        remove the miniature data, the quickstart run and the site'

$(READY): setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || \
	  { echo "Python 3.10 to 3.12 is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --progress-bar off -e '.[openmmlab,test]'
	@$(PY) -c 'import cv2' || { echo 'OpenCV lacks system libraries. Debian, Ubuntu: apt-get install libgl1 libglib2.0-0;' \
	  'Fedora: dnf install mesa-libGL glib2'; exit 1; }
	@touch $@

quickstart: $(READY)
	$(PY) tools/train.py $(CONFIG) --mini --work-dir $(WORK)
	$(PY) tools/test.py $(CONFIG) none --mini --work-dir $(WORK)/untrained
	$(PY) tools/test.py $(CONFIG) $(WORK) --mini --work-dir $(WORK)/test --out $(WORK)/predictions --show-dir $(WORK)/pictures

test: $(READY)
	$(PY) -m pytest -m 'not slow' -n $(WORKERS) --dist loadfile

# what equals the published training and evaluation: docs/fidelity.md and the tables beside it
fidelity: $(READY)
	$(PY) -m pytest tests -k 'fidelity or parity' -q --junitxml=work_dirs/fidelity.xml
	$(PY) tools/reproduce.py --fidelity work_dirs/fidelity.xml

test-all: $(READY)
	$(PY) -m pytest

chaos: $(READY)
	PYTHONPATH=tests $(PY) -m faults $(FAULTS)

test-stacks: $(READY)
	$(PY) -m pip install -q nox
	$(PY) -m nox --report .nox/report.json $(STACKS)

test-ecosystems: $(READY)
	$(PY) -m pip install -q nox
	$(PY) -m nox -s ecosystems

test-runtimes: $(READY)
	$(PY) -m pip install -q nox
	$(PY) -m nox -s runtimes

docs: $(READY)
	$(PY) -m pip install -q -e '.[openmmlab,docs]'
	@$(MAKE) --no-print-directory $(LIVE)/model.json || echo 'the site is built without the live example of web.md'
	$(PY) -m sphinx -W --keep-going -n -q docs docs/_build/html
	@echo docs/_build/html/index.html

# the live example of web.md: some three minutes, once
$(LIVE_RUN)/done: | $(READY)
	$(PY) tools/train.py $(LIVE_CONFIG) --mini --seed 0 --work-dir $(LIVE_RUN)
	@touch $@

$(LIVE)/model.json: $(LIVE_RUN)/done
	$(PY) tools/export.py $(LIVE_RUN)/$(notdir $(LIVE_CONFIG)) $(LIVE_RUN) --to web --out $(LIVE) \
	  --example $(LIVE_EXAMPLE)

lint: $(READY)
	$(PY) -m pip install -q ruff
	$(PY) -m ruff check .
	$(VENV)/bin/lint-imports setup.cfg

clean:
	rm -rf data/mini $(WORK) docs/_build docs/api docs/_example $(LIVE_RUN)
