/* SPDX-License-Identifier: MIT */
/* What the files that speak with libmicrohttpd share, parser*.c: nobody else includes its header. */
#ifndef BATON_SERVER_PARSER_H
#define BATON_SERVER_PARSER_H

#include <microhttpd.h>

#include "server/wire/guard.h"
#include "server/wire/probe.h"
#include "server/wire/wire.h"

/* ---- parser.c: what libmicrohttpd calls for a request ---------------------------------------------- */

void *parser_on_target(void *cls, const char *target, struct MHD_Connection *mhd);
enum MHD_Result parser_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
    const char *method, const char *version, const char *data, size_t *size, void **slot);
void parser_on_completed(
    void *cls, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode how);
/* The connection is closed for something that was not even taken for a request. */
void parser_unrecognized(struct wire_conn *c);

/* ---- parser_answer.c: answers, on their way out ------------------------------------------------------ */

/* Gives the answer to libmicrohttpd. The content stays ours, in the request's pool. */
enum MHD_Result
parser_answer(struct wire_conn *c, struct http_request *req, struct http_response *res);
/* Refuses a request that no handler sees. The connection ends with it: where the next request
 * would begin is not certain, or there is content that is not wanted. */
enum MHD_Result
parser_refuse(struct wire_conn *c, struct http_request *req, int status, const char *why);

/* Answers in the parser's place, and ends the connection. False if the client is gone. */
bool parser_answer_past(struct wire_conn *c, int status, const char *why);
/* The parser is about to answer a bad Content-Length, or a coding that it does not know: finds
 * the connection, and comes first. */
void parser_answer_bad_length(struct wire *w);
void parser_answer_bad_coding(struct wire *w);
/* Ends the connection of a request, NULL if there was none for it, with 503. Always MHD_NO. */
enum MHD_Result parser_no_memory(struct wire_conn *c, const struct http_request *req);
/* libmicrohttpd has closed instead of sending the answer. False if the client had left. */
bool parser_answer_lost(struct wire_conn *c, const struct http_request *req);

/* ---- wire_conn.c: what libmicrohttpd says of a connection ------------------------------------------ */

/* The status of the answer that is being sent, whoever made it; 0: none is. */
int parser_status(const struct wire_conn *c);

#endif
