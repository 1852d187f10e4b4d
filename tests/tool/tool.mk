# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of the control tool, on a stand-in for the daemon's socket: included by the top-level Makefile
# behind tests/standin/standin.mk, whose GLIB_LIBS it uses.

TOOL_TEST_OBJS := $(BUILD)/tests/tool/server.o \
                  $(patsubst %,$(BUILD)/xen-9pfs/tool/%.o,histogram record text)
TOOL_TESTS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/tool/test_*.c))
TESTS          += $(TOOL_TESTS)

$(TOOL_TESTS:%=%.o): ALL_CFLAGS += $(shell pkg-config --cflags $(TOOL_PKGS) 2>/dev/null)

$(TOOL_TESTS): $(BUILD)/%: $(BUILD)/%.o $(TOOL_TEST_OBJS) $(TSAN_OBJS) | $(TOOL)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(TOOL_LIBS) -lutil -pthread

.PHONY: check-tool
check-tool: $(TOOL_TESTS)
	set -e; for test in $(TOOL_TESTS); do $$test --tap; done
