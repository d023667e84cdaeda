# SPDX-License-Identifier: MIT
# Every command a person runs: `make run`, `make test`, `make help` for the rest.
# SAN=address,undefined or SAN=thread builds and tests in a directory of its own.

PREFIX  ?= /usr/local
VERSION := 0.2.0
SONAME  := libbaton.so.1
OBJCOPY ?= objcopy

# All cores, unless -j says otherwise or another make has called this one.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
# $(call say,cc,what): the line of a step. V=1 shows the command instead. A folder of many files
# is one step when it is built first; then each file that is made anew has a line of its own.
say  = $(if $(V),,@printf '%-8s%s\n' '$(1)' '$(2)' &&)
anew = $(if $(V),,@$(if $(wildcard $@),printf '%-8s%s\n' '$(1)' '$(2)' &&))
link = $(call $(1),ld,$@)mkdir -p $(@D) && $(LINK) -o $@ $(filter %.o %.a,$^)

comma := ,
B     := build$(if $(SAN),/$(subst $(comma),-,$(SAN)))
WARN  := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith -Wvla
HARD  := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,\
	-D_FORTIFY_SOURCE=2 -fstack-protector-strong)
BASE  := -std=gnu11 -D_GNU_SOURCE -DBATON_VERSION='"$(VERSION)"' -O2 -g -pthread $(WARN) $(HARD) \
	-I. -I$(B)/include
CFLAGS ?=
COMPILE = $(CC) $(BASE) -MMD -MP $(CPPFLAGS)
LINK    = $(CC) $(BASE) $(CFLAGS) $(LDFLAGS)

# What is built from what: the folder says it.
EXAMPLES  := server/examples/hello.c
LIB_SRC   := $(wildcard ctx/*.c) $(filter-out $(EXAMPLES),$(wildcard server/*.c server/*/*.c))
SUP_SRC   := $(wildcard supervisor/*.c supervisor/*/*.c)
HARNESS   := $(wildcard tests/harness/*.c)
PUBLIC    := $(wildcard ctx/ctx.h ctx/bag.h ctx/registry.h server/http.h)
TESTS     := $(patsubst %.c,$(B)/%,$(wildcard tests/ctx/*.c tests/server/*.c tests/server/*/*.c \
	tests/supervisor/*/*.c tests/e2e/*/*.c))
# faults.c is preloaded into others, which a sanitizer does not like.
FIXTURES  := $(patsubst %.c,$(B)/%,$(filter-out %/faults.c,$(wildcard tests/fixtures/*.c))) \
	$(if $(SAN),,$(B)/tests/fixtures/faults.so)
# Fuzz targets have a build of the library to themselves, with clang. Not once more with SAN.
FUZZERS   := $(if $(SAN),,$(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*.c)))
TESTS     += $(if $(FUZZERS),$(B)/tests/fuzz/run)
BENCHES   := $(patsubst %.c,$(B)/%,$(wildcard tests/bench/*.c))
obj       = $(patsubst %.c,$(B)/obj/%.o,$(1))
fuzz_obj  = $(patsubst %.c,$(B)/obj/fuzz/%.o,$(1))
FUZZ      := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
# The library as tests see it: with all names that its files share.
INTERNALS := $(B)/obj/internals.a
# gcc's -flto is over when the library is one object: what is hidden can be told from then on.
LTO       = $(if $(filter -flto%,$(CFLAGS)),$(CFLAGS) -flinker-output=nolto-rel)
LIB_LIBS  := -lmicrohttpd -ltalloc
SUP_LIBS  := -ltevent -ltalloc -ljansson
HEADERS   := $(patsubst %,$(B)/include/baton/%,$(notdir $(PUBLIC)))
PROGRAMS  := $(B)/baton $(patsubst server/examples/%.c,$(B)/%,$(EXAMPLES))
LIBRARIES := $(B)/libbaton.a $(B)/$(SONAME) $(B)/libbaton.so

.DELETE_ON_ERROR:
.PHONY: all run test test-parsers soak bench lint deps install uninstall clean help
all: $(LIBRARIES) $(PROGRAMS) $(HEADERS)

help:
	@echo 'make run       install what is missing, build, serve etc/baton.conf (Ctrl-C ends it)'
	@echo 'make test      install what is missing, build, run every test (SAN=… for sanitizers,'
	@echo '               TEST_JOBS=1: one program at a time)'
	@echo 'make test-parsers  the server again with other libmicrohttpds (MHD=FOLDER: that one)'
	@echo 'make soak      fuzzing, mutants and the like, SOAK_SECONDS (600) for each part'
	@echo 'make           build only, into $(B)/, with all cores (V=1 shows the commands)'
	@echo 'make deps      install what building and testing need, or say what is missing'
	@echo 'make bench     measure, beside the peers that are installed (BENCH=http: only that)'
	@echo 'make lint      formatting, static analysis, warnings as errors with gcc and clang'
	@echo 'make install   to $(PREFIX) (PREFIX=… DESTDIR=…), make uninstall, make clean'

# In a process group of its own, so that Ctrl-C is for baton alone and the end is its own.
run: $(B)/.deps-run all
	@set -m 2>/dev/null; $(B)/baton run -c etc/baton.conf; exit $$?

test: $(B)/.deps-test all $(TESTS) $(FIXTURES)
	@BATON_BUILD=$(abspath $(B)) SAN='$(SAN)' CC='$(CC)' tests/run.sh $(TESTS)

# The programs that serve by the library, with each libmicrohttpd that they may meet.
test-parsers: $(B)/.deps-test all $(TESTS) $(FIXTURES)
	@BATON_BUILD=$(abspath $(B)) MHD='$(MHD)' tests/parsers.sh $(TESTS)

# Hours rather than seconds: SOAK_SECONDS for each part.
soak: $(B)/.deps-test $(B)/.deps-soak all $(TESTS) $(FIXTURES)
	@BATON_BUILD=$(abspath $(B)) tests/soak/run.sh

bench: $(B)/.deps-bench all $(BENCHES)
	@BATON_BUILD=$(abspath $(B)) BENCH='$(BENCH)' tests/bench/run.sh \
	    $(filter-out %/raw_mhd,$(BENCHES)) $(wildcard tests/bench/*.py)

lint: $(B)/.deps-lint $(B)/.deps-test all
	@tests/lint.sh $(BASE)

deps:
	@etc/deps.sh build run test

# The first that is asked for installs what all goals need.
$(B)/.deps-%: etc/packages etc/deps.sh
	@mkdir -p $(@D)
	@CC='$(CC)' etc/deps.sh $(sort build $* $(filter run test lint bench soak,$(MAKECMDGOALS)))
	@touch $@

# Once for each folder: the line of a step, and the folder.
$(B)/obj/%/.folder: | $(B)/.deps-build
	$(call say,cc,$*/ ($(words $(wildcard $(*:fuzz/%=%)/*.c)) files))mkdir -p $(@D) && touch $@

.SECONDEXPANSION:
$(B)/obj/%.o: %.c | $(B)/.deps-build $(HEADERS) $$(@D)/.folder
	$(call anew,cc,$<)$(COMPILE) -fPIC -fvisibility=hidden $(CFLAGS) -c -o $@ $<

# What says the version is made anew when that changes.
$(call obj,$(shell grep -rl --include='*.c' BATON_VERSION supervisor tests)): Makefile

$(B)/include/baton/%.h:
	@mkdir -p $(@D) && ln -sf $(abspath $(filter %/$*.h,$(PUBLIC))) $@

$(INTERNALS): $(call obj,$(LIB_SRC))
$(B)/obj/fuzz/libbaton.a: $(call fuzz_obj,$(LIB_SRC))
$(INTERNALS) $(B)/obj/fuzz/libbaton.a:
	@rm -f $@ && $(AR) rcs $@ $^

# One object, in which what the files share is nobody else's: a program may have a `log_line` of
# its own. Who links it gets all of it, which a program that serves needs anyhow.
$(B)/libbaton.a: $(call obj,$(LIB_SRC))
	$(call say,ar,$@)$(CC) $(LTO) -r -nostdlib -o $(B)/obj/libbaton.o $^ && \
	    $(OBJCOPY) --localize-hidden $(B)/obj/libbaton.o && \
	    rm -f $@ && $(AR) rcs $@ $(B)/obj/libbaton.o

$(B)/$(SONAME): $(call obj,$(LIB_SRC)) server/libbaton.map
	$(call link,say) -shared -Wl,-soname,$(SONAME) -Wl,--version-script=server/libbaton.map \
	    $(LIB_LIBS)

$(B)/libbaton.so: $(B)/$(SONAME)
	@ln -sf $(SONAME) $@

$(B)/baton: $(call obj,$(SUP_SRC))
	$(call link,say) $(SUP_LIBS)

$(patsubst server/examples/%.c,$(B)/%,$(EXAMPLES)): $(B)/%: $(B)/obj/server/examples/%.o $(B)/libbaton.a
	$(call link,say) $(LIB_LIBS)

# A test sees the internals of what it tests: the objects themselves, not the library.
$(B)/tests/%: $(B)/obj/tests/%.o $(call obj,$(HARNESS)) $(INTERNALS) | $(B)/.deps-test
	$(call link,anew) $(LIB_LIBS) -lcmocka

$(B)/tests/supervisor/%: $(B)/obj/tests/supervisor/%.o $(call obj,$(HARNESS)) \
    $(filter-out %/main.o,$(call obj,$(SUP_SRC))) | $(B)/.deps-test
	$(call link,anew) $(SUP_LIBS) -lcmocka

# Programs that tests start: they know nothing of baton.
$(B)/tests/fixtures/%: $(B)/obj/tests/fixtures/%.o
	$(call link,anew)

$(B)/tests/fixtures/faults.so: $(B)/obj/tests/fixtures/faults.o
	$(call link,anew) -shared

$(B)/obj/fuzz/%.o: %.c | $(B)/.deps-test $(HEADERS) $$(@D)/.folder
	$(call anew,clang,$<)clang $(filter-out -D_FORTIFY_SOURCE=2,$(BASE)) $(FUZZ) -MMD -MP -c -o $@ $<

$(B)/tests/fuzz/%: $(B)/obj/fuzz/tests/fuzz/%.o $(B)/obj/fuzz/libbaton.a
	$(call anew,clang,$@)mkdir -p $(@D) && clang -pthread $(subst -no-link,,$(FUZZ)) -o $@ $^ $(LIB_LIBS)

$(B)/tests/fuzz/run: tests/fuzz/run.sh $(FUZZERS)
	@install -m 755 $< $@

$(B)/tests/bench/%: $(B)/obj/tests/bench/%.o $(INTERNALS)
	$(call link,anew) $(LIB_LIBS)

install: all
uninstall install:
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' VERSION='$(VERSION)' \
	    etc/install.sh $@ $(B) $(SONAME) $(PUBLIC)

clean:
	@rm -rf build

.SECONDARY:
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
