/* SPDX-License-Identifier: MIT */
/*
 * What a thread can be given to do, as the crew of threads (server/engine) sees it: a link in
 * its lists, and nothing else. Whoever gives jobs has one in each structure of its own that is a
 * job; it is here so that such a structure need not know what threads are.
 */
#ifndef BATON_SERVER_JOB_H
#define BATON_SERVER_JOB_H

struct crew_job {
	struct crew_job *next; /* the crew's, while the job is on its way back */
};

#endif
