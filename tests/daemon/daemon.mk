# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of the whole daemon in the hypervisor stand-in: included by the top-level Makefile behind
# tests/standin/standin.mk.

DAEMON_TEST_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/daemon/test_%.c, \
                      $(wildcard tests/daemon/*.c)))
INTEGRITY_TESTS  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/integrity/test_*.c))
SANDBOX_TEST     := $(BUILD)/tests/daemon/test_sandbox
DAEMON_TESTS     := $(filter-out $(SANDBOX_TEST), $(INTEGRITY_TESTS) \
                      $(patsubst %.c,$(BUILD)/%,$(wildcard tests/daemon/test_*.c tests/ring/test_*.c)))
TESTS            += $(STANDIN_TESTS) $(FRONTEND_TESTS) $(DAEMON_TESTS) $(SANDBOX_TEST)

$(DAEMON_TESTS): $(BUILD)/%: $(BUILD)/%.o $(DAEMON_TEST_OBJS) $(TSAN_OBJS) $(FRONTEND) \
                 | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(FRONTEND) $(STANDIN_TEST_LIBS)

$(BUILD)/tests/ring/test_hostile: $(BUILD)/tests/fuzz/fuzz_message.o

# This one plays the message bus.
$(BUILD)/tests/daemon/test_service: STANDIN_TEST_LIBS += $(if $(SYSTEMD),$(shell pkg-config --libs libsystemd))

# These have an export that hangs.
$(patsubst %,$(BUILD)/tests/daemon/test_%,control_hung export_errors killed limits old_client): \
    $(patsubst %,$(BUILD)/tests/lib/blocking_%.o,fs server)

# This one plays a worker.
$(BUILD)/tests/daemon/test_locked_worker: $(BUILD)/xen-9pfs/link.o

# This one goes through the phases of the sandbox itself.
SANDBOX_TEST_LIBS := $(shell pkg-config --libs glib-2.0 libseccomp 2>/dev/null) -pthread

$(SANDBOX_TEST): $(SANDBOX_TEST).o $(BUILD)/xen-9pfs/sandbox.o $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(SANDBOX_TEST_LIBS)

# The scripts of init systems, run by tests/package/init in systems of their own.
INIT_TEST := $(BUILD)/tests/init/test_init

$(INIT_TEST): $(INIT_TEST).o $(DAEMON_TEST_OBJS) $(TSAN_OBJS) $(FRONTEND) | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(FRONTEND) $(STANDIN_TEST_LIBS)
