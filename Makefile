# A thin front for CMake. `make help` lists what there is; variables: PREFIX, BUILD, CC, JOBS.
PREFIX ?= /usr/local
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

# Given on the command line (make CC=clang) or in the environment, CC decides; otherwise CMake finds a compiler.
ifneq ($(origin CC),default)
export CC
endif
NINJA := $(shell command -v ninja 2>/dev/null)
GENERATOR := $(if $(NINJA),-G Ninja,-G 'Unix Makefiles')
CONFIGURE = cmake -S . $(if $(wildcard $(1)/CMakeCache.txt),,$(GENERATOR)) -B $(1) --log-level=NOTICE >/dev/null
COMPILE = cmake --build $(1) -j $(JOBS)
SUITE = cd $(1) && ctest --output-on-failure -j $(JOBS)
# All suites at once keep a machine busy, and one that stalls for some milliseconds upsets a test on a real clock: what fails is run once more,
# and the log shows both runs. A single suite (make check, asan, tsan ...) gives no second chance.
ALL_SUITES = $(call SUITE,$(1)) --repeat until-pass:2
ARM64_TOOLS := $(and $(shell command -v aarch64-linux-gnu-gcc),$(shell command -v qemu-aarch64))
TESTED := $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(if $(ARM64_TOOLS),$(BUILD)-arm64)

.PHONY: all
all: ## build the library, the cosy command and the examples
	@$(call CONFIGURE,$(BUILD)) -DCMAKE_INSTALL_PREFIX='$(PREFIX)' -DCOSY_BUILD_TESTS=OFF
	@$(call COMPILE,$(BUILD))

.PHONY: run
run: ## install what building needs, build, and run the tour
	@scripts/setup.sh run
	@$(call CONFIGURE,$(BUILD))
	@echo "building the library and the tour in $(BUILD)/"
	@$(call COMPILE,$(BUILD)) --target example_tour >$(BUILD)/tour.log || { cat $(BUILD)/tour.log; exit 1; }
	@$(BUILD)/examples/example.tour

.PHONY: test
test: ## install what testing needs, build everything, and run every suite: plain, ASan, TSan, valgrind, arm64
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory test-all

# A second make, so that what setup.sh has just installed (ninja, the cross compiler) is seen.
.PHONY: test-all
test-all: build-plain build-asan build-tsan $(if $(ARM64_TOOLS),build-arm64)
	@mkdir -p $(BUILD)-all
	@printf 'subdirs("%s")\n' $(abspath $(TESTED)) > $(BUILD)-all/CTestTestfile.cmake
	@$(call ALL_SUITES,$(BUILD)-all)

.PHONY: build-plain build-asan build-tsan build-arm64
build-plain:
	@$(call CONFIGURE,$(BUILD)) -DCOSY_BUILD_TESTS=ON
	@$(call COMPILE,$(BUILD))
build-asan:
	@$(call CONFIGURE,$(BUILD)-asan) -DCOSY_BUILD_TESTS=ON -DCOSY_SANITIZE=address -DCOSY_TEST_PREFIX=asan.
	@$(call COMPILE,$(BUILD)-asan)
build-tsan:
	@$(call CONFIGURE,$(BUILD)-tsan) -DCOSY_BUILD_TESTS=ON -DCOSY_SANITIZE=thread -DCOSY_TEST_PREFIX=tsan.
	@$(call COMPILE,$(BUILD)-tsan)
build-arm64:
	@CC= $(call CONFIGURE,$(BUILD)-arm64) -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64-linux-gnu.cmake \
		-DCOSY_BUILD_TESTS=ON -DCOSY_TEST_PREFIX=arm64.
	@$(call COMPILE,$(BUILD)-arm64)

.PHONY: check asan tsan valgrind arm64
check: build-plain ## the plain suite alone
	@$(call SUITE,$(BUILD)) -E '^valgrind\.'
asan: build-asan ## the suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(call SUITE,$(BUILD)-asan)
tsan: build-tsan ## the suite under ThreadSanitizer
	@$(call SUITE,$(BUILD)-tsan)
valgrind: build-plain ## the plain suite's programs under valgrind's memcheck
	@$(call SUITE,$(BUILD)) -R '^valgrind\.' --no-tests=error
arm64: build-arm64 ## cross-compile for 64-bit ARM and run the examples and plain tests under qemu
	@$(call SUITE,$(BUILD)-arm64)

.PHONY: soak
soak: ## servers and clients that treat each other badly for SECONDS (120) on each backend, then a count of what is left
	@$(call CONFIGURE,$(BUILD)) -DCOSY_BUILD_TESTS=ON
	@SOAK_SECONDS='$(or $(SECONDS),120)' SOAK_CLIENTS='$(or $(CLIENTS),200)' $(call COMPILE,$(BUILD)) --target soak

.PHONY: check-async
check-async: ## clang's check for awaits outside async code, over examples and sources
	@$(call CONFIGURE,$(BUILD))
	@$(call COMPILE,$(BUILD)) --target check-async

.PHONY: bench bench-instructions bench-peers
bench: ## measure, beside the peers that are installed
	@scripts/setup.sh test
	@$(call CONFIGURE,$(BUILD))
	@$(call COMPILE,$(BUILD)) --target bench
bench-instructions: ## count instructions under callgrind, for comparison with a later change
	@scripts/setup.sh test
	@$(call CONFIGURE,$(BUILD))
	@$(call COMPILE,$(BUILD)) --target bench-instructions
bench-peers: ## install the peers that `make bench` compares with
	@bench/setup-peers.sh

.PHONY: install
install: all ## install below PREFIX (default /usr/local; DESTDIR is honoured)
	@cmake --install $(BUILD) --prefix '$(PREFIX)'
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ] && command -v ldconfig >/dev/null; then ldconfig; fi

.PHONY: format
format: ## clang-format over every source
	@find include src tools tests examples bench -name '*.[ch]' -print0 | xargs -0 clang-format -i

.PHONY: clean
clean: ## remove the build folders
	@rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-tsan $(BUILD)-arm64 $(BUILD)-all

.PHONY: help
help: ## print this list
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-25s %s\n", $$1, $$2 }'
