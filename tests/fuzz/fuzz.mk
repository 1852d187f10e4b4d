# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzz targets: included by the top-level Makefile behind tests/protocol/protocol.mk. Each tests/fuzz/fuzz_*.c
# but fuzz_message.c is a target; in the test suite it runs for some seconds.

FUZZ_TARGETS := $(patsubst %.c,$(BUILD)/%,$(filter-out %/fuzz_message.c,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_ENGINE  ?= standalone
FUZZ_OBJS    := $(BUILD)/tests/fuzz/fuzz_message.o $(BUILD)/tests/fuzz/$(FUZZ_ENGINE).o
TESTS        += $(FUZZ_TARGETS)

# What decides which inputs are new is where they lead in the code that is tested, not in the tests.
ifeq ($(FUZZ_ENGINE),engine)
$(PROTOCOL_OBJS) $(COMMON_OBJS) $(DAEMON_OBJS): ALL_CFLAGS += -fsanitize-coverage=inline-8bit-counters,pc-table
$(FUZZ_TARGETS): ALL_LDFLAGS += -fsanitize=fuzzer
HARDEN       += -fno-sanitize-recover=undefined
endif

$(FUZZ_TARGETS): $(BUILD)/%: $(BUILD)/%.o $(FUZZ_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PROTOCOL_TEST_LIBS)

# The fewer lines there are to be reached, the less an execution costs.
$(BUILD)/tests/fuzz/fuzz_codec: $(patsubst %,$(BUILD)/protocol/%.o,codec stat fs id_map)
$(BUILD)/tests/fuzz/fuzz_session: $(PROTOCOL_TEST_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)

# It has its own Xen, its own sandbox, which is none, and its own export; of the daemon it takes what a worker needs.
FUZZ_WORKER_OBJS := $(filter-out %/main.o %/sandbox.o,$(patsubst %.c,$(BUILD)/%.o,$(wildcard xen-9pfs/*.c))) \
                    $(filter-out $(BUILD)/protocol/local%,$(PROTOCOL_OBJS)) $(COMMON_OBJS)

$(BUILD)/tests/fuzz/libworker.a: $(FUZZ_WORKER_OBJS)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tests/fuzz/fuzz_ring: $(patsubst %,$(BUILD)/tests/%.o,fuzz/xen lib/memory_fs lib/memory_ops) $(TSAN_OBJS) \
                               $(BUILD)/tests/fuzz/libworker.a

# With libFuzzer, which looks for inputs that execute new lines; see tests/fuzz/run. The whole daemon on the
# hypervisor stand-in has no such engine: test_hostile attacks it by chance, xenstore included.
TARGET ?= codec session ring daemon
TIME   ?= 600
RUNS   ?= 0

.PHONY: fuzz fuzz-targets
fuzz-targets: $(FUZZ_TARGETS)

fuzz:
	@tests/fuzz/setup
	@$(MAKE) --no-print-directory -j$(JOBS) fuzz-targets BUILD=build-fuzz CC=clang FUZZ_ENGINE=engine \
	    SANITIZE=address,undefined WARNINGS=-Wall
	@JOBS=$(JOBS) TIME=$(TIME) RUNS=$(RUNS) tests/fuzz/run build-fuzz $(filter-out daemon,$(TARGET))
ifneq ($(filter daemon,$(TARGET)),)
	@$(MAKE) --no-print-directory -j$(JOBS) tests SANITIZE=address,undefined
	@build-address-undefined/tests/ring/test_hostile -m slow
endif
