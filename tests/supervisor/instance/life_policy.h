/* SPDX-License-Identifier: MIT */
/* The policy with which the tests of the state machine step. */
#ifndef BATON_TESTS_LIFE_POLICY_H
#define BATON_TESTS_LIFE_POLICY_H

#include "supervisor/instance/life.h"

static const struct life_policy policy = {.start_timeout_ms = 3000,
    .drain_timeout_ms = 5000,
    .late_ms = 900,
    .recall_ms = 700,
    .become_ms = 600,
    .backoff_first_ms = 100,
    .backoff_max_ms = 30000,
    .quiet_ms = 10000,
    .crashes_max = 3,
    .crashes_time_ms = 1000};

#endif
