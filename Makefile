# Everything lives in .venv; each target sets up what it needs.
PYTHON ?= python3
TORCH_INDEX ?=
FUZZ_SECONDS ?= 300
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --disable-pip-version-check -q

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-audiocraft lint bench chaos fuzz clean

help:
	@echo "make setup   install into $(VENV)   (TORCH_INDEX=URL chooses another index for torch)"
	@echo "make demo    music to story, and story to music, on the examples"
	@echo "make test    the whole test suite"
	@echo "make test-audiocraft   builds audiocraft's environment, and its tests"
	@echo "make lint    ruff, mypy, and the locked list of dependencies"
	@echo "make chaos   a thousand kills at random moments (about ten minutes)"
	@echo "make fuzz    ten minutes of coverage-guided fuzzing (atheris)"
	@echo "make bench   the benchmarks, as printed in docs/benchmarks.md"

setup: $(READY)

# torch comes first: asked for alone it takes the build of the chosen index, and nothing later replaces it.
# The doctor runs one small job each way, which also compiles what is compiled once for a machine.
# tinysoundfont comes without its dependency pyaudio, which needs PortAudio headers and is used for live playback only.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	PYTHONWARNINGS=ignore $(PIP) -c constraints.txt -e '.[dev]'
	$(PIP) -c constraints.txt --no-deps tinysoundfont
	$(BIN)/tunetale doctor
	touch $@

demo: setup
	$(BIN)/tunetale story examples/three-moods.ogg --out demo-out/story
	$(BIN)/tunetale compose --file examples/story-en.txt --out demo-out/music

test: setup lint
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Builds audiocraft's environment (about 2 GB, more with CUDA) beside $(VENV) and runs the tests that need it; `make test` runs
# them too as soon as it is there.
test-audiocraft: setup
	$(BIN)/tunetale setup audiocraft $(if $(TORCH_INDEX),--torch-index $(TORCH_INDEX))
	$(VENV)-audiocraft/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt pytest pytest-asyncio
	$(BIN)/python -m pytest tests/engine/music/audiocraft

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tests.security.audit

bench: setup
	$(BIN)/python -m benchmarks

chaos: setup
	CHAOS_KILLS=1000 $(BIN)/python -m pytest tests/crash tests/chaos --log-cli-level INFO

# atheris is a fuzzer for developers and no dependency of anything else.
fuzz: setup
	$(PIP) -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz decode --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz config --seconds $(FUZZ_SECONDS)

clean:
	rm -rf $(VENV) $(VENV)-audiocraft build *.egg-info tunetale-out demo-out fuzz-out
