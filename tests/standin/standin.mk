# SPDX-License-Identifier: GPL-2.0-or-later
# The hypervisor stand-in and the frontend library: included by the top-level Makefile, once
# BUILD, CC, ALL_CFLAGS and ALL_LDFLAGS are set.
#
# Each stand-in library has the soname, and each of its functions the version, that the installed
# real library has; what has no stand-in says so when it is called.

STANDIN      := $(BUILD)/tests/standin
STANDIN_LIBS := xengnttab xenevtchn xenstore xenctrl
XEN_LIBDIR   := $(shell pkg-config --variable=libdir xencontrol 2>/dev/null)

# The libraries are position-independent and find each other beside themselves.
STANDIN_CFLAGS  = $(filter-out -fPIE,$(ALL_CFLAGS)) -fPIC
STANDIN_LDFLAGS = $(filter-out -pie,$(ALL_LDFLAGS)) -Wl,-rpath,'$$ORIGIN'
GLIB_LIBS      := $(shell pkg-config --libs glib-2.0 2>/dev/null)

standin_soname = $(shell tests/standin/symbols.sh soname $(XEN_LIBDIR)/lib$(1).so)

# What a test is linked with: the stand-in in place of the Xen libraries, found from where the
# test is (two folders below $(BUILD)).
STANDIN_TEST_LIBS = -L$(STANDIN) -Wl,-rpath,'$$ORIGIN/../standin' \
                    -Wl,-rpath-link,$(STANDIN) -lxen-standin \
                    $(foreach lib,$(STANDIN_LIBS),-l$(lib)) $(GLIB_LIBS) -pthread

STANDIN_CORE_OBJS   := $(patsubst %,$(STANDIN)/%.pic.o,core daemon deny shared standin wire)
STANDIN_BROKER_OBJS := $(patsubst %,$(STANDIN)/%.o,broker domains events grants shared store wire \
                         xenstored)
STANDIN_FILES := $(STANDIN)/libxen-standin.so $(STANDIN)/standin-broker $(STANDIN)/standin-run \
                 $(patsubst %,$(STANDIN)/lib%.so,$(STANDIN_LIBS))
STANDIN_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/standin/test_*.c))

FRONTEND_OBJS  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/frontend/test_%.c, \
                    $(wildcard tests/frontend/*.c)))
FRONTEND       := $(BUILD)/tests/frontend/libfrontend.a
FRONTEND_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/frontend/test_*.c))

.SECONDARY: $(patsubst %,$(STANDIN)/%-stubs.c,$(STANDIN_LIBS))
.PHONY: standin check-standin check-frontend
standin: $(STANDIN_FILES) $(FRONTEND) $(STANDIN_TESTS) $(FRONTEND_TESTS)

$(STANDIN)/%.pic.o: tests/standin/%.c
	@mkdir -p $(@D)
	$(CC) $(STANDIN_CFLAGS) -I$(STANDIN) -c -o $@ $<

$(STANDIN)/deny.pic.o: tests/lib/deny.c
	@mkdir -p $(@D)
	$(CC) $(STANDIN_CFLAGS) -c -o $@ $<

$(STANDIN)/%-symbols.h: tests/standin/symbols.sh
	@mkdir -p $(@D)
	tests/standin/symbols.sh have $(XEN_LIBDIR)/lib$*.so > $@

$(STANDIN)/%.map: tests/standin/symbols.sh
	@mkdir -p $(@D)
	tests/standin/symbols.sh map $(XEN_LIBDIR)/lib$*.so > $@

$(STANDIN)/%-stubs.c: tests/standin/symbols.sh
	@mkdir -p $(@D)
	tests/standin/symbols.sh stubs $(XEN_LIBDIR)/lib$*.so > $@

$(STANDIN)/%-stubs.o: $(STANDIN)/%-stubs.c
	$(CC) -O1 -fPIC -w -c -o $@ $<

$(STANDIN)/xenctrl.pic.o: $(STANDIN)/xenctrl-symbols.h

$(STANDIN)/libxen-standin.so: $(STANDIN_CORE_OBJS)
	$(CC) -shared $(STANDIN_LDFLAGS) -Wl,-soname,$(@F) -o $@ $^ $(GLIB_LIBS) -pthread

# lib(NAME,SOURCE): the library under its soname, and a link for the linker.
define standin_library
$(STANDIN)/lib$(1).so: $(STANDIN)/$(2).pic.o $(STANDIN)/$(1)-stubs.o $(STANDIN)/$(1).map \
                       $(STANDIN)/libxen-standin.so
	$$(CC) -shared $$(STANDIN_LDFLAGS) -Wl,-soname,$$(call standin_soname,$(1)) \
	    -Wl,--version-script=$(STANDIN)/$(1).map -o $(STANDIN)/$$(call standin_soname,$(1)) \
	    $(STANDIN)/$(2).pic.o $(STANDIN)/$(1)-stubs.o -L$(STANDIN) -lxen-standin $$(GLIB_LIBS)
	ln -sf $$(call standin_soname,$(1)) $$@
endef
$(eval $(call standin_library,xengnttab,gnttab))
$(eval $(call standin_library,xenevtchn,evtchn))
$(eval $(call standin_library,xenstore,xenstore))
$(eval $(call standin_library,xenctrl,xenctrl))
# for QEMU only, which the benchmark starts
$(eval $(call standin_library,xenforeignmemory,privileged))
$(eval $(call standin_library,xendevicemodel,privileged))

$(STANDIN)/standin-broker: $(STANDIN_BROKER_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(GLIB_LIBS) -pthread

$(STANDIN)/standin-run: $(STANDIN)/run.o | $(STANDIN)/libxen-standin.so
	$(CC) $(ALL_CFLAGS) $(STANDIN_LDFLAGS) -pie -o $@ $< -L$(STANDIN) -lxen-standin $(GLIB_LIBS)

$(FRONTEND): $(FRONTEND_OBJS)
	$(AR) rcs $@ $^

$(STANDIN_TESTS) $(FRONTEND_TESTS): $(BUILD)/%: $(BUILD)/%.o $(FRONTEND) | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(FRONTEND) $(STANDIN_TEST_LIBS)

check-standin: standin
	set -e; for test in $(STANDIN_TESTS); do $$test --tap; done

check-frontend: standin $(BUILD)/xen-9pfsd
	set -e; for test in $(FRONTEND_TESTS); do $$test --tap; done
