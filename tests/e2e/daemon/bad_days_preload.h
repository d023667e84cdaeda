/* SPDX-License-Identifier: MIT */
/* A stage whose baton has tests/fixtures/faults.so in it. */
#ifndef BATON_TESTS_BAD_DAYS_PRELOAD_H
#define BATON_TESTS_BAD_DAYS_PRELOAD_H

#include "tests/e2e/daemon/bad_days.h"
#include "tests/fixtures/faults.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static struct faults *preload;

static inline int
preload_unmap(struct faults **f)
{
	munmap(*f, sizeof(**f));
	return 0;
}

/* A sanitizer wants to be the first library. */
static inline void
preload_or_skip(void)
{
	if (__sanitizer_set_death_callback != NULL)
		harness_skip("a sanitizer wants to be the first library");
}

/* PROGRAM is a baton, which runs on that stage. */
static inline struct stage *
preload_begin_with(struct stage *s, const char *program)
{
	const char *path = tempdir_write(s->dir, "faults", "%*s", (int)sizeof(*preload), "");
	struct faults **keeper = talloc(s, struct faults *);
	int fd = open(path, O_RDWR | O_CLOEXEC);

	preload = mmap(NULL, sizeof(*preload), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (preload == MAP_FAILED)
		harness_fail("mmap: %m");
	memset(preload, 0, sizeof(*preload));
	*keeper = preload;
	talloc_set_destructor(keeper, preload_unmap);
	s->baton = proc_start(
	    &(struct proc_spec){.argv = (const char *const[]){program, "run", "-c", s->conf, NULL},
		.env = (const char *const[]){
		    talloc_asprintf(s, "LD_PRELOAD=%s", harness_built("tests/fixtures/faults.so")),
		    talloc_asprintf(s, FAULTS_FILE "=%s", path), NULL}});
	proc_expect(s->baton, PROC_OUT, "^Ctrl-C ");
	assert_true(atomic_load(&preload->of[FAULT_FORK].calls) >= 2);
	return s;
}

static inline struct stage *
preload_begin(const char *lines)
{
	return preload_begin_with(stage_new(lines), "baton");
}

/* After so many calls that many fail. */
static inline void
preload_arm(enum fault f, int after, int count, int error)
{
	atomic_store(&preload->of[f].count, 0);
	atomic_store(&preload->of[f].after, after);
	atomic_store(&preload->of[f].error, error);
	atomic_store(&preload->of[f].count, count);
}

static inline void
preload_disarm(void)
{
	for (int f = 0; f < FAULTS; f++)
		atomic_store(&preload->of[f].count, 0);
}

/* Whether what was armed for it has happened; it is disarmed in any case. */
static inline bool
preload_was_hit(enum fault f)
{
	const bool hit = atomic_load(&preload->of[f].count) <= 0;

	preload_disarm();
	return hit;
}

static inline void
preload_still_there(struct day *d, const char *what, int after)
{
	if (proc_ended(d->s->baton))
		harness_fail("baton has ended with %d: %s, %d allocations later\n%s",
		    proc_wait(d->s->baton), what, after, proc_text(d->s->baton, PROC_ERR));
}

#endif
