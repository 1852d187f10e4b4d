# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of the control tool, on a stand-in for the daemon's socket: included by the top-level Makefile
# behind tests/standin/standin.mk, whose GLIB_LIBS it uses.

TOOL_TEST_OBJS := $(BUILD)/tests/tool/server.o \
                  $(patsubst %,$(BUILD)/xen-9pfs/tool/%.o,histogram record text)
TOOL_TESTS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tool/test_*.c))
TESTS          += $(TOOL_TESTS)

$(TOOL_TESTS:%=%.o): ALL_CFLAGS += $(TOOL_CFLAGS)

$(TOOL_TESTS): $(BUILD)/%: $(BUILD)/%.o $(TOOL_TEST_OBJS) $(TSAN_OBJS) | $(TOOL)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(TOOL_LIBS) -lutil -pthread

# With the daemon that runs.
$(BUILD)/tests/daemon/test_tool: | $(TOOL)
$(BUILD)/tests/daemon/test_tool: STANDIN_TEST_LIBS += $(TOOL_LIBS)
$(BUILD)/tests/daemon/test_tool.o: ALL_CFLAGS += $(TOOL_CFLAGS)

.PHONY: check-tool
check-tool: $(TOOL_TESTS)
	set -e; for test in $(TOOL_TESTS); do $$test --tap; done
