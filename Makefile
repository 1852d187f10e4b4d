# SPDX-License-Identifier: GPL-2.0-or-later
# xen-9pfs: build, test and install. `make help` lists the targets.

# `make demo SHELL=1` asks for a shell inside the guest: SHELL is also make's own variable.
ifeq ($(origin SHELL),command line)
override DEMO_SHELL := $(SHELL)
endif
override SHELL := /bin/sh
MAKEOVERRIDES := $(filter-out SHELL=%,$(MAKEOVERRIDES))

VERSION := 0.1.0

# Where things are installed. XEN_LIBEXEC_BIN is the folder where libxl looks for the xen-9pfsd that
# it starts: the daemon is installed there too, unless it is empty. The default is the folder of a
# Xen that was built from source with the same prefix and libexecdir.
prefix          ?= /usr/local
sbindir         ?= $(prefix)/sbin
libexecdir      ?= $(prefix)/lib
mandir          ?= $(prefix)/share/man
sysconfdir      ?= /etc
unitdir         ?= $(prefix)/lib/systemd/system
openrcdir       ?=
apparmordir     ?=
bashcompdir     ?= $(prefix)/share/bash-completion/completions
zshcompdir      ?= $(prefix)/share/zsh/site-functions
fishcompdir     ?= $(prefix)/share/fish/vendor_completions.d
DESTDIR         ?=
XEN_LIBEXEC_BIN ?= $(libexecdir)/xen/bin
INSTALL         ?= install

# SANITIZE=address,undefined or SANITIZE=thread builds into a folder of its own, and so does
# COVERAGE=1, where the daemon counts which of its lines run.
comma    := ,
SANITIZE ?=
COVERAGE ?=
BUILD    ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))$(if $(COVERAGE),-coverage)

CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
PKGS     := glib-2.0 libseccomp xencontrol xengnttab xenevtchn xenstore
# With systemd's library the daemon speaks with the service manager; SYSTEMD= builds without.
SYSTEMD  ?= $(shell pkg-config --exists libsystemd 2>/dev/null && echo libsystemd)
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes -Wmissing-prototypes
WERROR   ?=
ifeq ($(SANITIZE),)
HARDEN   := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fstack-clash-protection
else
HARDEN   := -fPIE -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(SYSTEMD) 2>/dev/null)
ALL_CFLAGS  = -std=gnu11 $(CFLAGS) $(WARNINGS) $(WERROR) $(HARDEN) -D_GNU_SOURCE -I. \
              -DVERSION='"$(VERSION)"' -DCONFIG_FILE='"$(sysconfdir)/xen/xen-9pfs.conf"' \
              $(if $(SYSTEMD),-DHAVE_LIBSYSTEMD) $(PKG_CFLAGS) -MMD -MP
ALL_LDFLAGS = $(LDFLAGS) -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LIBS       := $(shell pkg-config --libs $(PKGS) $(SYSTEMD) 2>/dev/null) -pthread

# The control tool. $(BUILD)/xen-9pfs is the folder of the daemon's objects.
TOOL        := $(BUILD)/bin/xen-9pfs
TOOL_PKGS   := glib-2.0 json-glib-1.0 xenstore
TOOL_CFLAGS := $(shell pkg-config --cflags $(TOOL_PKGS) 2>/dev/null)
TOOL_LIBS   := $(shell pkg-config --libs $(TOOL_PKGS) 2>/dev/null) -pthread

COMMON_OBJS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard common/*.c))
PROTOCOL_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard protocol/*.c))
DAEMON_OBJS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard xen-9pfs/*.c))
TOOL_OBJS     := $(patsubst %.c,$(BUILD)/%.o,$(wildcard xen-9pfs/tool/*.c))
# What the tool has of the daemon: its view of xenstore, of the configuration file and of options.
TOOL_OBJS     += $(patsubst %,$(BUILD)/xen-9pfs/%.o,config export nodes xenstore) \
                 $(patsubst %,$(BUILD)/protocol/%.o,export_ids export_keys export_options id_map) \
                 $(BUILD)/common/log.o

ifneq ($(COVERAGE),)
$(COMMON_OBJS) $(PROTOCOL_OBJS) $(DAEMON_OBJS): ALL_CFLAGS += --coverage -fprofile-update=atomic
LDFLAGS       += --coverage
endif
# AddressSanitizer has to know that it cannot trace a worker that has locked itself in.
ifneq ($(findstring address,$(SANITIZE)),)
DAEMON_OBJS   += $(BUILD)/tests/lib/asan_leaks.o
endif

# ThreadSanitizer has to see what GLib's own locks order.
TSAN_OBJS     := $(if $(filter thread,$(SANITIZE)),$(BUILD)/tests/lib/tsan_glib.o)
DAEMON_OBJS   += $(TSAN_OBJS)

.PHONY: all
all: $(BUILD)/xen-9pfsd $(TOOL)

$(BUILD)/xen-9pfsd: $(DAEMON_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(TOOL): $(TOOL_OBJS) $(TSAN_OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(TOOL_LIBS)

$(filter $(BUILD)/xen-9pfs/tool/%,$(TOOL_OBJS)): ALL_CFLAGS += $(TOOL_CFLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# The system calls of a worker, out of the comments beside the code that makes them.
SYSCALLS        := $(BUILD)/generated/xen-9pfs/syscalls.h
SYSCALL_SOURCES := $(wildcard common/*.[ch] protocol/*.[ch] xen-9pfs/*.[ch])

$(SYSCALLS): xen-9pfs/collect-syscalls $(SYSCALL_SOURCES)
	@mkdir -p $(@D)
	@xen-9pfs/collect-syscalls '$(SANITIZE)' $(SYSCALL_SOURCES) > $@.new
	@mv $@.new $@

$(BUILD)/xen-9pfs/sandbox.o: $(SYSCALLS)
$(BUILD)/xen-9pfs/sandbox.o: ALL_CFLAGS += -I$(BUILD)/generated

# Tests. Each of these adds its programs to TESTS; scripts need none of the variants.
TESTS :=
SCRIPTS := $(sort $(wildcard tests/test-*)) tests/model/check
-include tests/standin/standin.mk
-include tests/protocol/protocol.mk
-include tests/daemon/daemon.mk
-include tests/tool/tool.mk
-include tests/fuzz/fuzz.mk
-include tests/posix/posix.mk
-include tests/bench/bench.mk

.PHONY: tests check check-quick check-unit check-package check-integrity check-model check-all real-xen demo coverage
.PHONY: count-coverage
tests: all $(TESTS)

# Everything: the stand-in tests plainly and under the sanitizers, then real Xen.
check:
	@tests/setup
	@$(MAKE) --no-print-directory check-all

VARIANTS  := build build-address-undefined build-thread
JOBS       = $(shell nproc)
ALL_TESTS  = $(foreach variant,$(VARIANTS),$(patsubst $(BUILD)/%,$(variant)/%,$(TESTS)))

check-all:
	@$(MAKE) --no-print-directory -j$(JOBS) tests
	@$(MAKE) --no-print-directory -j$(JOBS) tests SANITIZE=address,undefined
	@$(MAKE) --no-print-directory -j$(JOBS) tests SANITIZE=thread
	@TEST_BUILD=$(BUILD) tests/run-tests $(BUILD)/test-logs --beside tests/real-xen/check $(SCRIPTS) $(ALL_TESTS)

# The stand-in tests of this build alone: seconds, for use while working.
check-quick: tests
	@TEST_BUILD=$(BUILD) tests/run-tests $(BUILD)/test-logs $(SCRIPTS) $(TESTS)

# What takes seconds and neither root nor the stand-in.
UNIT_TESTS = $(filter $(BUILD)/tests/unit/%,$(TESTS))

check-unit: $(UNIT_TESTS)
	@tests/run-tests $(BUILD)/test-logs $(UNIT_TESTS)

# The packages: installed, upgraded and removed in folders, and in the dom0 of a real Xen. What INSTALL
# says, the scripts of other init systems, Debian's own tests.
PACKAGE_TESTS := $(addprefix tests/package/,chroot docs init autopkgtest) \
                 tests/real-xen/package-check tests/real-xen/driver-check

check-package:
	@SECONDS_PER_PROGRAM=4000 tests/run-tests $(BUILD)/test-logs $(PACKAGE_TESTS)

# A million operations on one file, and as long a run of the others that several guests do at once.
check-integrity: tests
	@TEST_OPTIONS='-m slow' tests/run-tests $(BUILD)/test-logs $(INTEGRITY_TESTS)

# Only the model of cancellation.
check-model:
	@tests/run-tests $(BUILD)/test-logs tests/model/check

# Programs for the guests of real Xen, which have no libraries.
$(BUILD)/tests/real-xen/%: tests/real-xen/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(CFLAGS) $(WARNINGS) -D_GNU_SOURCE -static -o $@ $<

# Only the tests on real Xen.
real-xen:
	@tests/run-tests $(BUILD)/test-logs tests/real-xen/check

# docs/transcript.md anew: what the commands of xen-9pfs say on real Xen.
.PHONY: transcript
transcript:
	@tests/setup
	@tests/real-xen/check start attach
	@cp "$${REAL_XEN_CACHE:-.cache/real-xen}/transcript.md" docs/transcript.md

demo:
	@tests/setup
	@DEMO_SHELL='$(DEMO_SHELL)' tests/real-xen/demo

# Which lines of protocol/ the unit, protocol and daemon tests execute.
COVERAGE_MIN ?= 90

coverage:
	@tests/setup
	@$(MAKE) --no-print-directory -j$(JOBS) tests COVERAGE=1 CFLAGS=-Og
	@$(MAKE) --no-print-directory count-coverage COVERAGE=1

# A worker that has locked itself in cannot write its counts to files, so that none does here; the
# tests that are about locking in are left out.
COVERAGE_TESTS = $(filter-out %/test_locked_worker,$(PROTOCOL_TESTS) $(DAEMON_TESTS))

count-coverage:
	@find $(BUILD) -name '*.gcda' -delete
	@XEN_9PFSD_SANDBOX=off tests/run-tests $(BUILD)/test-logs $(COVERAGE_TESTS)
	@tests/coverage $(BUILD) protocol $(COVERAGE_MIN)

# The xen-9pfsd that libxl starts. If it is Xen's own, it is kept as xen-9pfsd.dist.
DROP_IN = $(DESTDIR)$(XEN_LIBEXEC_BIN)/xen-9pfsd

# One that an earlier `make install` may have put there, before the right folder was named.
DEFAULT_DROP_IN = $(DESTDIR)$(libexecdir)/xen/bin/xen-9pfsd

# The limits of workers, for every unit whose name begins so.
WORKER_DROP_IN = $(unitdir)/xen-9pfs-worker-.scope.d

FILL_IN = sed 's,@sbindir@,$(sbindir),g;s,@sysconfdir@,$(sysconfdir),g'

# A tarball of the work tree, the same for the same files and the same commit.
DIST      := xen-9pfs-$(VERSION)
DIST_TIME := $(shell git log -1 --format=%ct 2>/dev/null || echo $${SOURCE_DATE_EPOCH:-0})

.PHONY: dist deb
dist: $(BUILD)/$(DIST).tar.gz

.PHONY: $(BUILD)/$(DIST).tar.gz
$(BUILD)/$(DIST).tar.gz:
	@mkdir -p $(@D)
	@{ git ls-files 2>/dev/null || find . -path './build*' -prune -o -path ./.git -prune -o \
	    -path ./.cache -prune -o ! -type d -printf '%P\n'; } | LC_ALL=C sort | \
	    tar -c --no-recursion --files-from=- --transform='flags=r;s,^,$(DIST)/,' --format=gnu \
	    --mtime=@$(DIST_TIME) --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w | \
	    gzip -9 -n > $@.new
	@mv $@.new $@
	@echo $@

# Packages for the Debian release of this machine, in $(BUILD)/deb.
deb: dist
	debian/make-deb $(BUILD)/$(DIST).tar.gz $(BUILD)/deb

MAN_PAGES := $(notdir $(wildcard docs/*.[1-9]))

# What the administrator has written there stays.
CONFIG = $(DESTDIR)$(sysconfdir)/xen/xen-9pfs.conf

.PHONY: install uninstall clean help
install: all
	$(INSTALL) -d $(DESTDIR)$(sbindir) $(DESTDIR)$(unitdir) \
	    $(addprefix $(DESTDIR)$(mandir)/man,5 7 8) \
	    $(DESTDIR)$(bashcompdir) $(DESTDIR)$(zshcompdir) $(DESTDIR)$(fishcompdir)
	$(INSTALL) -m 755 $(BUILD)/xen-9pfsd $(DESTDIR)$(sbindir)/xen-9pfsd
	$(INSTALL) -m 755 $(TOOL) $(DESTDIR)$(sbindir)/xen-9pfs
	$(TOOL) completion bash > $(DESTDIR)$(bashcompdir)/xen-9pfs
	$(TOOL) completion zsh > $(DESTDIR)$(zshcompdir)/_xen-9pfs
	$(TOOL) completion fish > $(DESTDIR)$(fishcompdir)/xen-9pfs.fish
	for page in $(MAN_PAGES); do \
	    sed 's,/etc/xen/,$(sysconfdir)/xen/,' "docs/$$page" \
	        > "$(DESTDIR)$(mandir)/man$${page##*.}/$$page" || exit; done
	$(INSTALL) -d $(dir $(CONFIG))
	[ -e $(CONFIG) ] || $(INSTALL) -m 644 xen-9pfs/service/xen-9pfs.conf $(CONFIG)
	$(FILL_IN) xen-9pfs/service/xen-9pfsd.service.in \
	    > $(DESTDIR)$(unitdir)/xen-9pfsd.service
	$(INSTALL) -m 644 xen-9pfs/service/xen-9pfs.slice $(DESTDIR)$(unitdir)/xen-9pfs.slice
	$(INSTALL) -d $(DESTDIR)$(WORKER_DROP_IN)
	$(INSTALL) -m 644 xen-9pfs/service/worker.conf $(DESTDIR)$(WORKER_DROP_IN)/worker.conf
ifneq ($(apparmordir),)
	$(INSTALL) -d $(DESTDIR)$(apparmordir)
	$(FILL_IN) xen-9pfs/service/apparmor.in > $(DESTDIR)$(apparmordir)/usr.sbin.xen-9pfsd
endif
ifneq ($(openrcdir),)
	$(INSTALL) -d $(DESTDIR)$(openrcdir)
	$(FILL_IN) xen-9pfs/service/xen-9pfsd.openrc.in > $(DESTDIR)$(openrcdir)/xen-9pfsd
	chmod 755 $(DESTDIR)$(openrcdir)/xen-9pfsd
endif
ifneq ($(XEN_LIBEXEC_BIN),)
	$(INSTALL) -d $(dir $(DROP_IN))
	if [ -e $(DROP_IN) ] && ! grep -qs XEN_9PFS_LOG_TARGET $(DROP_IN); then \
	    mv $(DROP_IN) $(DROP_IN).dist; fi
	$(INSTALL) -m 755 $(BUILD)/xen-9pfsd $(DROP_IN)
endif

uninstall:
	rm -f $(DESTDIR)$(sbindir)/xen-9pfsd $(DESTDIR)$(sbindir)/xen-9pfs
	for page in $(MAN_PAGES); do rm -f "$(DESTDIR)$(mandir)/man$${page##*.}/$$page"; done
	rm -f $(DESTDIR)$(bashcompdir)/xen-9pfs $(DESTDIR)$(zshcompdir)/_xen-9pfs
	rm -f $(DESTDIR)$(fishcompdir)/xen-9pfs.fish
	rm -f $(DESTDIR)$(unitdir)/xen-9pfsd.service $(DESTDIR)$(unitdir)/xen-9pfs.slice
	rm -f $(DESTDIR)$(WORKER_DROP_IN)/worker.conf
	if cmp -s xen-9pfs/service/xen-9pfs.conf $(CONFIG); then rm $(CONFIG); fi
ifneq ($(apparmordir),)
	rm -f $(DESTDIR)$(apparmordir)/usr.sbin.xen-9pfsd
endif
ifneq ($(openrcdir),)
	rm -f $(DESTDIR)$(openrcdir)/xen-9pfsd
endif
ifneq ($(XEN_LIBEXEC_BIN),)
	for file in $(sort $(DROP_IN) $(DEFAULT_DROP_IN)); do \
	    if grep -qs XEN_9PFS_LOG_TARGET "$$file"; then rm -f "$$file" || exit; fi; \
	    if [ -e "$$file.dist" ]; then mv "$$file.dist" "$$file" || exit; fi; done
endif

clean:
	rm -rf build build-*

help:
	@echo 'make                 build the daemon, build/xen-9pfsd, and its tool, build/bin/xen-9pfs'
	@echo 'make check           build and run all tests, also under sanitizers and on real Xen'
	@echo 'make check-quick     only the tests of this build that need no Xen'
	@echo 'make check-package   the Debian packages, INSTALL, init scripts, also on real Xen: half an hour'
	@echo 'make check-integrity only the random operations, a million of them: minutes'
	@echo 'make check-posix     the whole POSIX suite, on local file systems and through the server'
	@echo 'make check-attack    what 50 devices that attack take from 50 others: how long these wait'
	@echo 'make check-model     only the model of cancellation, with Spin'
	@echo 'make check-flush     cancellation, a thousand times under ThreadSanitizer: half an hour'
	@echo 'make real-xen        only the tests on real Xen, under emulation'
	@echo 'make transcript      docs/transcript.md anew, from commands on real Xen'
	@echo 'make fuzz            the fuzzers, ten minutes each; TIME=SECONDS or RUNS=N of each,'
	@echo '                     TARGET="codec session ring daemon" for some of them'
	@echo 'make coverage        lines of protocol/ that tests execute; fails below COVERAGE_MIN=90 %'
	@echo 'make dist            a tarball of the sources: build/$(DIST).tar.gz'
	@echo 'make deb             packages for this Debian, in build/deb'
	@echo 'make demo            show it working in a guest; SHARE=DIR SHELL=1 for a shell there'
	@echo 'make install         DESTDIR, prefix, sbindir, libexecdir, mandir, unitdir, sysconfdir,'
	@echo '                     XEN_LIBEXEC_BIN, bashcompdir, zshcompdir, fishcompdir'
	@echo 'make uninstall       remove what install put there'
	@echo 'make clean           remove what was built'

-include $(shell find $(BUILD) -type f -name '*.d' 2>/dev/null)
