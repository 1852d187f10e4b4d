# SPDX-License-Identifier: GPL-2.0-or-later
# The POSIX suite: included by the top-level Makefile after tests/protocol/protocol.mk. posix-suite
# makes system calls and is linked statically, without sanitizers, so that it runs in any guest;
# posix-9p runs the same cases through the server and is one of TESTS.

POSIX_DIR   := $(BUILD)/tests/posix
POSIX_CORE  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/posix/cases/*.c) \
                 tests/posix/suite.c tests/posix/steps.c tests/posix/differences.c)
POSIX_HOST  := $(patsubst $(BUILD)/%.o,$(POSIX_DIR)/static/%.o,$(POSIX_CORE)) \
                 $(POSIX_DIR)/static/tests/posix/host.o
POSIX_9P    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/posix/p9*.c)) $(POSIX_CORE)
POSIX_TOOLS := $(POSIX_DIR)/posix-suite $(POSIX_DIR)/compare

TESTS += $(POSIX_DIR)/posix-9p

$(POSIX_DIR)/static/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) $(WERROR) -D_GNU_SOURCE -I. -MMD -MP -c -o $@ $<

$(POSIX_DIR)/posix-suite: $(POSIX_HOST)
	$(CC) $(CFLAGS) $(LDFLAGS) -static -o $@ $^

$(POSIX_DIR)/compare: $(POSIX_DIR)/static/tests/posix/compare.o \
                      $(POSIX_DIR)/static/tests/posix/differences.o
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

$(POSIX_DIR)/posix-9p: $(POSIX_9P) $(PROTOCOL_TEST_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(PROTOCOL_TEST_LIBS)

.PHONY: posix-tools check-posix
posix-tools: $(POSIX_TOOLS) $(POSIX_DIR)/posix-9p

# The whole suite, on local file systems and through the server, and what differs; then in guests on real Xen,
# together with what else takes long there.
POSIX_CHECKS := tests/posix/check tests/real-xen/long-check
check-posix: posix-tools
	@tests/setup
	@BUILD=$(BUILD) SECONDS_PER_PROGRAM=5400 tests/run-tests $(BUILD)/test-logs $(POSIX_CHECKS)
