# SPDX-License-Identifier: GPL-2.0-or-later
# The benchmark: included by the top-level Makefile behind tests/standin/standin.mk. It is no test:
# `make bench` alone builds and runs it.

BENCH_BUILD    := $(BUILD)/tests/bench
BENCH_OBJS     := $(patsubst %.c,$(BUILD)/%.o,$(filter-out tests/bench/null.c tests/bench/attack.c, \
                    $(wildcard tests/bench/*.c)))
BENCH_PROGRAMS := $(BENCH_BUILD)/bench $(BENCH_BUILD)/null-backend

.PHONY: bench bench-xen bench-programs
bench-programs: all standin $(BENCH_PROGRAMS) $(STANDIN)/libxenforeignmemory.so \
                $(STANDIN)/libxendevicemodel.so

# BENCH=quick, behind make or in the environment, takes about two minutes; otherwise it is ten.
bench:
	@tests/setup
	@tests/bench/setup
	@$(MAKE) --no-print-directory -j$(JOBS) bench-programs
	@BUILD=$(BUILD) tests/bench/run $(BENCH_OPTIONS)

# In a guest on real Xen, under emulation: about ten minutes.
bench-xen:
	@OUT=$(abspath $(BUILD))/bench-results tests/real-xen/bench $(BENCH_ROUNDS)

$(BENCH_BUILD)/bench: $(BENCH_OBJS) $(FRONTEND) | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(BENCH_OBJS) $(FRONTEND) $(STANDIN_TEST_LIBS)

$(BENCH_BUILD)/null-backend: $(BENCH_BUILD)/null.o | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< $(STANDIN_TEST_LIBS)

# What 50 guests that attack take from 50 others. About a minute.
.PHONY: check-attack
check-attack:
	@tests/setup
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BENCH_BUILD)/attack
	@$(BENCH_BUILD)/attack $(ATTACK_OPTIONS)

$(BENCH_BUILD)/attack: $(BENCH_BUILD)/attack.o $(BENCH_BUILD)/histogram.o $(FRONTEND) | $(STANDIN_FILES)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(filter %.o,$^) $(FRONTEND) $(STANDIN_TEST_LIBS)
