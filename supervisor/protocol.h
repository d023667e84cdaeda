/* SPDX-License-Identifier: MIT */
/*
 * What baton and the programs it runs agree on, and nothing else: names in the environment,
 * and where inherited descriptors begin. The supervisor and the server library both include
 * this header; it holds no code. All but the BATON_ names are systemd's own protocol
 * (sd_listen_fds(3), sd_notify(3)), so each side also works with a partner that is not baton.
 */
#ifndef BATON_PROTOCOL_H
#define BATON_PROTOCOL_H

/* The first inherited listening socket; the others follow without a gap. */
#define BATON_LISTEN_FDS_START 3

/* How many listening sockets are inherited; not set when there is none. */
#define BATON_ENV_LISTEN_FDS     "LISTEN_FDS"
/* The pid for which they are meant: another process must not take them. */
#define BATON_ENV_LISTEN_PID     "LISTEN_PID"
/* Their names, in order, separated by colons; a name may stand several times. */
#define BATON_ENV_LISTEN_FDNAMES "LISTEN_FDNAMES"

/* The datagram socket for READY=1, STOPPING=1, STATUS=…; a leading @ is an abstract name.
 * Every generation has one of its own: the socket says who speaks. */
#define BATON_ENV_NOTIFY_SOCKET "NOTIFY_SOCKET"

/* The service's name in the configuration. */
#define BATON_ENV_SERVICE    "BATON_SERVICE"
/* Which instance of the service this is: 0, 1, 2, … */
#define BATON_ENV_INSTANCE   "BATON_INSTANCE"
/* Which start of that instance this is: 1, 2, 3, … */
#define BATON_ENV_GENERATION "BATON_GENERATION"

/* Where the supervisor's control socket is; read by `baton` itself, never by a server. */
#define BATON_ENV_CONTROL "BATON_CONTROL"

#endif
