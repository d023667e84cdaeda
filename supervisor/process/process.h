/* SPDX-License-Identifier: MIT */
/*
 * The face of process/: one process, seen from its supervisor. This room finds its program and as
 * whom it runs, starts it with its environment and its control group, hears what it says (sd_notify),
 * holds the ends of its handover channels, asks it whether it is well, and finds out whether it was
 * that process which has accepted a connection. What starts processes and watches them calls it. It
 * never knows an instance, a generation, or what follows from what it finds out.
 */
#ifndef SUPERVISOR_PROCESS_H
#define SUPERVISOR_PROCESS_H

#include "supervisor/process/accepted_by.h"
#include "supervisor/process/cgroup.h"
#include "supervisor/process/channel.h"
#include "supervisor/process/credentials.h"
#include "supervisor/process/environment.h"
#include "supervisor/process/executable.h"
#include "supervisor/process/notify.h"
#include "supervisor/process/probe.h"
#include "supervisor/process/program.h"
#include "supervisor/process/spawn.h"

#endif
