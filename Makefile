# SPDX-License-Identifier: GPL-2.0-or-later
# xen-9pfs: build, test and install. `make help` lists the targets.

VERSION := 0.1.0

# Where things are installed. XEN_LIBEXEC_BIN is where libxl looks for the xen-9pfsd that it spawns.
prefix      ?= /usr/local
sbindir     ?= $(prefix)/sbin
libexecdir  ?= $(prefix)/libexec
mandir      ?= $(prefix)/share/man
unitdir     ?= $(prefix)/lib/systemd/system
DESTDIR     ?=
XEN_LIBEXEC_BIN ?=

# SANITIZE=address,undefined or SANITIZE=thread builds into a folder of its own.
comma    := ,
SANITIZE ?=
BUILD    ?= build$(if $(SANITIZE),-$(subst $(comma),-,$(SANITIZE)))

CC       := $(if $(filter default,$(origin CC)),gcc,$(CC))
PKGS     := glib-2.0 xencontrol xengnttab xenevtchn xenstore
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes -Wmissing-prototypes
HARDEN   := -fstack-protector-strong -fPIE -D_FORTIFY_SOURCE=2 -fstack-clash-protection
ifneq ($(SANITIZE),)
HARDEN   := -fPIE -fsanitize=$(SANITIZE) -fno-omit-frame-pointer
endif
ALL_CFLAGS  = -std=gnu11 $(CFLAGS) $(WARNINGS) $(WERROR) $(HARDEN) -D_GNU_SOURCE -I. \
              -DVERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS)) -MMD -MP
ALL_LDFLAGS = $(LDFLAGS) -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE))
LIBS        = $(shell pkg-config --libs $(PKGS)) -pthread

COMMON_OBJS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard common/*.c))
PROTOCOL_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard protocol/*.c))
DAEMON_OBJS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard xen-9pfs/*.c))

.PHONY: all clean help
all: $(BUILD)/xen-9pfsd

$(BUILD)/xen-9pfsd: $(DAEMON_OBJS) $(PROTOCOL_OBJS) $(COMMON_OBJS)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

clean:
	rm -rf build build-*

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
