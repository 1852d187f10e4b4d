# SPDX-License-Identifier: GPL-2.0-or-later
# Unit and protocol tests, which need no Xen: included by the top-level Makefile once BUILD, CC,
# ALL_CFLAGS, ALL_LDFLAGS, COMMON_OBJS and PROTOCOL_OBJS are set. Each tests/unit/test_*.c and
# tests/protocol/test_*.c is a program that prints TAP when run with --tap; TESTS lists them all.

PROTOCOL_TEST_LIBS := $(shell pkg-config --libs glib-2.0) -pthread
PROTOCOL_TEST_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/lib/*.c))
PROTOCOL_TESTS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c \
                        tests/protocol/test_*.c))
TESTS += $(PROTOCOL_TESTS)

.PHONY: protocol-tests check-protocol
protocol-tests: $(PROTOCOL_TESTS)

# What it tests is the daemon's.
$(BUILD)/tests/unit/test_config: $(BUILD)/xen-9pfs/config.o
$(BUILD)/tests/unit/test_ring_work: $(BUILD)/xen-9pfs/ring.o $(BUILD)/tests/fuzz/xen.o

$(PROTOCOL_TESTS): $(BUILD)/%: $(BUILD)/%.o $(PROTOCOL_TEST_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PROTOCOL_TEST_LIBS)

check-protocol: protocol-tests
	set -e; for test in $(PROTOCOL_TESTS); do $$test --tap; done

# The flush matrix a thousand times, with random delays, under ThreadSanitizer; half an hour at most.
.PHONY: check-flush
check-flush:
	@$(MAKE) --no-print-directory SANITIZE=thread build-thread/tests/protocol/test_flush_matrix
	@tests/flush-rounds build-thread/tests/protocol/test_flush_matrix
