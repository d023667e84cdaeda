/* SPDX-License-Identifier: MIT */
/* How the state machine's stories are told: scenes, each with what it must lead to. */
#ifndef BATON_TESTS_LIFE_PLAY_H
#define BATON_TESTS_LIFE_PLAY_H

#include "tests/supervisor/instance/life_policy.h"

#define ANY_WAIT (-1)

struct scene {
	enum life_event event;
	int64_t at_ms;
	enum life_state state;
	unsigned alive;
	int64_t wait_ms;
};

static inline void
play_from(struct life l, const struct scene *scenes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct life_step s = life_step(l, scenes[i].event, &policy, scenes[i].at_ms);

		if (s.life.state != scenes[i].state || s.life.alive != scenes[i].alive)
			fail_msg("scene %zu (%s): became %s, alive %u", i,
			    life_event_name(scenes[i].event), life_state_name(s.life.state),
			    s.life.alive);
		if (scenes[i].wait_ms != ANY_WAIT)
			assert_int_equal(s.wait_ms, scenes[i].wait_ms);
		l = s.life;
	}
}
#define PLAY(scenes) play_from(life_new(), scenes, sizeof(scenes) / sizeof((scenes)[0]))

/* How a successor that has failed after it was ready is dealt with, from that moment on. */
static inline struct life
successor_has_failed(void)
{
	struct life l = life_new();

	l = life_step(l, LIFE_EV_START, &policy, 0).life;
	l = life_step(l, LIFE_EV_READY, &policy, 1).life;
	l = life_step(l, LIFE_EV_RESTART, &policy, 2).life;
	l = life_step(l, LIFE_EV_NEXT_READY, &policy, 3).life;
	l = life_step(l, LIFE_EV_EXIT, &policy, 4).life;
	assert_int_equal(l.state, LIFE_RECALLING);
	return l;
}

#define PLAY_FROM(scenes) \
	play_from(successor_has_failed(), scenes, sizeof(scenes) / sizeof((scenes)[0]))

#endif
