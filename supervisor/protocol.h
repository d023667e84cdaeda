/* SPDX-License-Identifier: MIT */
/*
 * What baton and the programs it runs agree on, and nothing else: names in the environment,
 * and where inherited descriptors begin. The supervisor and the server library both include
 * this header; it holds no code. All but the BATON_ names are systemd's own protocol
 * (sd_listen_fds(3), sd_notify(3)), so each side also works with a partner that is not baton.
 */
#ifndef BATON_PROTOCOL_H
#define BATON_PROTOCOL_H

#include <stdint.h>

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

/* With `ready = fd`: the descriptor to which a program writes a newline when it is ready. */
#define BATON_ENV_READY_FD "BATON_READY_FD"

/*
 * The handover of live connections: "<give fd>,<take fd>", each an end of a SOCK_SEQPACKET
 * Unix socketpair, or -1. Generation g gives to g + 1 what it has when it is told to stop, and
 * takes from g - 1. The supervisor keeps duplicates of all ends, so that a second successor can
 * take the place of one that died; and by them it tells each side of the other's death, which
 * therefore is never inferred.
 */
#define BATON_ENV_HANDOVER "BATON_HANDOVER"

/*
 * One message is one packet: a head, and for OFFER a state and one fd (SCM_RIGHTS). Numbers are
 * in host byte order. A receiver takes of the state as much as it knows and reads what is
 * missing as zero; it ignores types that it does not know. So versions may differ.
 *
 *	taker -> giver  HELLO             I serve; whatever you give me I take
 *	giver -> taker  OFFER id state fd nobody reads from this connection now
 *	taker -> giver  HAVE id           I hold it, and do not read from it yet
 *	taker -> giver  REFUSE id         I cannot hold it: it stays yours
 *	giver -> taker  YOURS id          it is yours: only now, read
 *	giver -> taker  BACK id           I go on with it myself: close your duplicate
 *	giver -> taker  END               there is nothing more to come
 *
 * From the supervisor, on either end:
 *
 *	-> giver  TAKER_GONE   your successor died; go on with what it had not been given
 *	                       (say BACK: the next one may find your offers in the channel), and
 *	                       with what it had been given and has not read from
 *	-> giver  CALLED_OFF   there will be no successor: accept again
 *	-> taker  GIVER_GONE   your predecessor died; what it had offered is yours
 *
 * What was confirmed by YOURS comes back by TAKER_GONE only. The end of the channel, CALLED_OFF
 * and the giver's own deadline concern what is offered and not confirmed: they do not mean that
 * the taker is dead, and it may have read from what it was given, or given it on.
 */
enum baton_handover_type {
	BATON_HANDOVER_HELLO = 1,
	BATON_HANDOVER_OFFER = 2,
	BATON_HANDOVER_HAVE = 3,
	BATON_HANDOVER_REFUSE = 4,
	BATON_HANDOVER_YOURS = 5,
	BATON_HANDOVER_BACK = 6,
	BATON_HANDOVER_END = 7,
	BATON_HANDOVER_TAKER_GONE = 8,
	BATON_HANDOVER_CALLED_OFF = 9,
	BATON_HANDOVER_GIVER_GONE = 10
};

#define BATON_HANDOVER_VERSION 1

struct baton_handover_head {
	uint16_t version; /* of the sender: BATON_HANDOVER_VERSION */
	uint16_t type;    /* enum baton_handover_type */
	uint32_t size;    /* of the state that follows */
	uint64_t id;      /* of the connection, chosen by the giver; 0 where there is none */
};

/* What must survive of a connection. Only ever extended at its end. */
struct baton_handover_state {
	uint64_t used_bytes; /* of all its requests: what the kernel has counted must equal it */
	uint64_t requests;   /* so many have been answered */
	int64_t opened_unix_ms;
	uint32_t peer_size; /* of peer, in use */
	uint8_t peer[128];  /* struct sockaddr_storage */
	char listener[64];  /* its name, NUL-terminated */
};

/*
 * Spares: processes that are started before they are needed, and take the place of an instance
 * that has crashed, or is sick. Such a one finds here an end of a SOCK_SEQPACKET Unix socketpair, and has
 * no LISTEN_FDS and no BATON_HANDOVER: a program that does not know spares must not serve
 * anybody's sockets. BATON_INSTANCE is "spare.0", "spare.1", …; BATON_GENERATION says which
 * start of that spare it is.
 *
 *	spare -> supervisor  READY=1 and X_BATON_SPARE=1, in one datagram to NOTIFY_SOCKET:
 *	                     I know what a spare is, and am set up
 *	supervisor -> spare  BECOME and the sockets, in one packet on the pair
 *	spare -> supervisor  READY=1: I serve
 *
 * The end of the pair means that there is no supervisor any more: no word will come.
 */
#define BATON_ENV_SPARE    "BATON_SPARE"
#define BATON_NOTIFY_SPARE "X_BATON_SPARE=1"

#define BATON_SPARE_VERSION     1
/* As many sockets of an instance as can come in one packet (SCM_MAX_FD), with the two ends. */
#define BATON_SPARE_SOCKETS_MAX 250

enum baton_spare_type { BATON_SPARE_BECOME = 1 };

/*
 * A receiver ignores types that it does not know. The descriptors (SCM_RIGHTS) are the listening
 * sockets in order, then the ends of the handover: that for giving, that for taking.
 */
struct baton_spare_message {
	uint16_t version;    /* of the sender: BATON_SPARE_VERSION */
	uint16_t type;       /* enum baton_spare_type */
	uint32_t instance;   /* what it becomes: BATON_INSTANCE … */
	uint32_t generation; /* … and BATON_GENERATION from now on */
	uint32_t sockets;    /* how many; their names follow as in LISTEN_FDNAMES */
	uint32_t ends;       /* of the handover: 0, 1 (to give), or 2 */
	uint32_t names_size; /* in bytes; the last one is NUL */
};

/*
 * What an instance says of its drain when it ends, in one datagram to NOTIFY_SOCKET beside
 * STATUS=: connections moved to the successor, requests finished while draining, connections
 * politely ended, and cut at the deadline.
 */
#define BATON_NOTIFY_MOVED    "X_BATON_MOVED="
#define BATON_NOTIFY_FINISHED "X_BATON_FINISHED="
#define BATON_NOTIFY_ENDED    "X_BATON_ENDED="
#define BATON_NOTIFY_CUT      "X_BATON_CUT="

/* Where the supervisor's control socket is; read by `baton` itself, never by a server. */
#define BATON_ENV_CONTROL "BATON_CONTROL"

#endif
