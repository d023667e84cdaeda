/* SPDX-License-Identifier: MIT */
/* Which variables of the environment no configuration may set. */
#include <string.h>

#include "supervisor/config/config.h"
#include "supervisor/protocol.h"

/* Never inherited, and never set by the configuration: they speak of baton's own sockets,
 * watchdog, or generation. */
static const char *const never[] = {BATON_ENV_LISTEN_FDS, BATON_ENV_LISTEN_PID,
    BATON_ENV_LISTEN_FDNAMES, BATON_ENV_NOTIFY_SOCKET, BATON_ENV_SERVICE, BATON_ENV_INSTANCE,
    BATON_ENV_GENERATION, "WATCHDOG_USEC", "WATCHDOG_PID", "MAINPID", "MANAGERPID",
    BATON_ENV_HANDOVER, BATON_ENV_SPARE, BATON_ENV_READY_FD};

bool
config_variable_is_batons(const char *name)
{
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (strcmp(never[i], name) == 0)
			return true;
	}
	return false;
}
