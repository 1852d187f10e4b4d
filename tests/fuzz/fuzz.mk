# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzz targets: included by the top-level Makefile behind tests/protocol/protocol.mk. Each tests/fuzz/fuzz_*.c
# but fuzz_message.c is a target; in the test suite it runs for some seconds.

FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(filter-out %/fuzz_message.c,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_ENGINE  ?= standalone
FUZZ_OBJS    := $(BUILD)/tests/fuzz/fuzz_message.o $(BUILD)/tests/fuzz/$(FUZZ_ENGINE).o
FUZZ_SECONDS ?= 600
TESTS        += $(FUZZ_TARGETS)

$(FUZZ_TARGETS): $(BUILD)/%: $(BUILD)/%.o $(FUZZ_OBJS) $(PROTOCOL_TEST_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PROTOCOL_TEST_LIBS)

# With libFuzzer, which looks for inputs that execute new lines; what it finds is kept in .cache/fuzz/TARGET.
.PHONY: fuzz fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)

fuzz:
	@tests/fuzz/setup
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-targets BUILD=build-fuzz CC=clang FUZZ_ENGINE=engine \
	    SANITIZE=fuzzer,address,undefined WARNINGS=-Wall
	@$(MAKE) --no-print-directory -j$(JOBS) tests SANITIZE=address,undefined
	@build-address-undefined/tests/ring/test_hostile -m slow
	@tests/fuzz/run $(FUZZ_SECONDS) $(patsubst $(BUILD)/%,build-fuzz/%,$(FUZZ_TARGETS))
