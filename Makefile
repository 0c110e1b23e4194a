# SPDX-License-Identifier: GPL-2.0-or-later
# One object a file, dependencies by -MMD, sources found by wildcard. Objects
# of a kind of build lie together: build/normal, build/san (ASan and UBSan),
# build/fuzz, build/cov (clang's coverage), build/gcc, build/clang and
# build/aarch64 (warnings are errors).

PREFIX ?= /usr/local
BINDIR = $(PREFIX)/bin
MANDIR = $(PREFIX)/share/man
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR = $(PREFIX)/share/zsh/site-functions
SAN ?= 0
WERROR ?= 0
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 10
# A file of that name comes with a release, or a package's sources
VERSION := $(shell cat VERSION 2>/dev/null || \
		   git describe --tags --always --dirty 2>/dev/null || \
		   echo unknown)

ifeq ($(SAN),1)
KIND ?= san
else
KIND ?= normal
endif
B := build/$(KIND)

# The flags of $(1) that this compiler takes
takes = $(foreach f,$(1),$(shell $(CC) -Werror $(f) -O2 -x c -c -o /dev/null \
	/dev/null 2>/dev/null && echo '$(f)'))
fortify = $(shell printf '$(hash)include <stdio.h>\n' | \
	$(CC) -Werror -O2 -D_FORTIFY_SOURCE=3 -x c -c -o /dev/null - \
	2>/dev/null && echo 3 || echo 2)
hash := \#
# A short line in place of the command; V=1 shows the command
quiet := $(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS))))
say = $(if $(V),,@$(if $(quiet),,echo '  $(1)  $@';))

WARN := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
	-Wold-style-definition -Wwrite-strings -Wvla -Wpointer-arith \
	-Wredundant-decls -Wformat=2 -Wundef -Wshadow
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer

CFLAGS ?= -O2 -g
base := -std=gnu11 -D_GNU_SOURCE -I. $(WARN)
ifeq ($(WERROR),1)
base += -Werror
endif
ifeq ($(KIND),san)
base += $(SANITIZE) -O1
link := $(SANITIZE)
else ifeq ($(KIND),fuzz)
base += $(SANITIZE) -fsanitize=fuzzer-no-link
link := $(SANITIZE) -fsanitize=fuzzer
else ifeq ($(KIND),cov)
# The counts are in the file all the time: a filtered process opens none
base += -O1 -fprofile-instr-generate -fcoverage-mapping -mllvm \
	-runtime-counter-relocation
link := -fprofile-instr-generate
fuzz_link := -fsanitize=fuzzer
else
# Unless whoever builds has chosen, as Debian's tools do
chosen := $(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS))
base += $(if $(filter -O0,$(CFLAGS))$(chosen),,-U_FORTIFY_SOURCE \
	-D_FORTIFY_SOURCE=$(fortify)) -fPIE $(call takes,-fstack-protector-strong \
	-fstack-clash-protection -fcf-protection)
link := -pie -Wl,-z,relro,-z,now
endif
# Expanded once: the probes above run the compiler
ALL_CFLAGS := $(CFLAGS) $(base)

SRC := $(sort $(wildcard *.c lib/*.c link/*.c serve/*.c host/*.c guard/*.c))
LIB_OBJ := $(patsubst %.c,$B/%.o,$(filter-out passt.c,$(SRC)))
UNIT_SRC := $(sort $(wildcard test/unit/test_*.c))
UNIT := $(UNIT_SRC:%.c=$B/%)
HELP_SRC := $(sort $(filter-out $(UNIT_SRC),$(wildcard test/unit/*.c)))
FUZZ_SRC := $(sort $(wildcard test/fuzz/fuzz_*.c))
FUZZ := $(FUZZ_SRC:%.c=$B/%)
DEPS = $(wildcard $B/*.d $B/*/*.d $B/*/*/*.d)

ifeq ($(KIND),normal)
PASST := passt
else
PASST := $B/passt
endif
# The same by its other name
PASTA := $(PASST:%passt=%pasta)

.PHONY: all check check-unit check-tree check-frames check-exhaust \
	check-netns check-netns-san check-guard check-vm check-clients \
	check-fuzz attempt soak coverage demo bench lint install deb clean \
	objects unit fuzz FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: $(PASST) $(PASTA)

$(PASTA): $(PASST)
	@ln -sf passt $@

$(PASST): $B/passt.o $B/libpasst.a
	$(call say,LD)$(CC) $(CFLAGS) $(link) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$B/libpasst.a: $(LIB_OBJ)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$B/libtest.a: $(HELP_SRC:%.c=$B/%.o)
	@rm -f $@
	$(call say,AR)ar rcs $@ $^

$(UNIT): %: %.o $B/libtest.a $B/libpasst.a
	$(call say,LD)$(CC) $(CFLAGS) $(link) $(LDFLAGS) -o $@ $< -Wl,--start-group \
		$B/libtest.a $B/libpasst.a -Wl,--end-group $(LDLIBS)

$(FUZZ): %: %.o $B/libtest.a $B/libpasst.a
	$(call say,LD)$(CC) $(CFLAGS) $(link) $(fuzz_link) $(LDFLAGS) -o $@ $< -Wl,--start-group \
		$B/libtest.a $B/libpasst.a -Wl,--end-group $(LDLIBS)

$B/%.o: %.c $B/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(DEFINES) -MMD -MP -c -o $@ $<

# Other flags, another compiler, a source more or less: build anew
$B/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(subst ','\'',$(ALL_CFLAGS) $(CPPFLAGS))' \
		>$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# The one file that knows the version
$B/conf.o: DEFINES = -DVERSION='"$(VERSION)"'
$B/conf.o: $B/version
$B/version: FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION)' | cmp -s - $@ || echo '$(VERSION)' >$@

ATTEMPT_WRAPS := seccomp_apply landlock_apply loop_wait recvmsg waitid

# The daemon as one that was taken over, for test/guard; by both its names
$B/attempt: $B/passt.o $B/test/guard/attempt.o $B/libpasst.a
	$(call say,LD)$(CC) $(CFLAGS) $(link) $(LDFLAGS) -o $@ $^ $(LDLIBS) \
		$(foreach f,$(ATTEMPT_WRAPS),-Wl,--wrap=$f)
	@ln -sf attempt $(@D)/pasta

attempt: $B/attempt

# All objects, nothing linked
objects: $(LIB_OBJ) $(patsubst %.c,$B/%.o,$(wildcard passt.c) $(HELP_SRC) \
	$(UNIT_SRC))

# What the tests send and receive by
build/xfer: test/vm/xfer.c test/vm/sha256.h
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -O3 -fno-tree-vectorize -static -Wall -Wextra \
		-o $@ $<

# Preloaded into the daemon, makes its system calls fail
build/fault.so: test/lib/fault.c
	@mkdir -p $(@D)
	$(call say,CC)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -fPIC \
		-shared -o $@ $<

# A daemon whose table of flows is soon full
build/few/flow.o: flow.c flow.h $B/flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) -DFLOW_MAX=4096 -c -o $@ $<

build/few/passt: $B/passt.o build/few/flow.o $B/libpasst.a
	$(call say,LD)$(CC) $(CFLAGS) $(link) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Binaries of the unit tests and the fuzz targets of this kind of build
unit: $(UNIT)
fuzz: $(FUZZ)

# Each part says how many passed and failed; the last line sums them up
check:
	+@MAKE='$(MAKE)' CC='$(CC)' FUZZ_SECONDS='$(FUZZ_SECONDS)' \
		test/run.sh setup unit tree frames frames-vhost frames-san exhaust \
		netns guard vm clients fuzz
check-unit check-tree check-frames check-exhaust check-netns check-netns-san \
check-guard \
check-vm check-clients check-fuzz: check-%:
	+@MAKE='$(MAKE)' CC='$(CC)' FUZZ_SECONDS='$(FUZZ_SECONDS)' \
		test/run.sh $*

# Hours of what `check` does for seconds: SOAK is how long, in seconds
SOAK ?= 3600
soak:
	+@MAKE='$(MAKE)' CC='$(CC)' SOAK='$(SOAK)' test/run.sh soak

# Which lines the tests reach
coverage:
	+@MAKE='$(MAKE)' test/coverage.py

demo:
	+@MAKE='$(MAKE)' test/demo.sh

bench:
	+@MAKE='$(MAKE)' test/bench/bench.py
	+@MAKE='$(MAKE)' test/bench/pasta.py
	+@MAKE='$(MAKE)' test/bench/links.py

lint:
	@test/lint/budget

install: all
	install -d '$(DESTDIR)$(BINDIR)'
	install -m 0755 passt '$(DESTDIR)$(BINDIR)/passt'
	ln -sf passt '$(DESTDIR)$(BINDIR)/pasta'
	for m in $(wildcard doc/*.1); do \
		install -D -m 0644 $$m '$(DESTDIR)$(MANDIR)/man1/'$${m##*/} || \
		exit 1; done
	install -d '$(DESTDIR)$(BASHDIR)' '$(DESTDIR)$(ZSHDIR)'
	install -m 0644 contrib/completion/passt.bash '$(DESTDIR)$(BASHDIR)/passt'
	ln -sf passt '$(DESTDIR)$(BASHDIR)/pasta'
	install -m 0644 contrib/completion/_passt '$(DESTDIR)$(ZSHDIR)/_passt'

# A Debian package, in build/deb
deb:
	contrib/debian/build.sh

clean:
	rm -rf build passt pasta

-include $(DEPS)
