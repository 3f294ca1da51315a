/*
 * The connection over which this process streams what it captures. Captured itself, each of its packets would make another one; so
 * live lanes leave it out. The sender's thread says which connection it is, before its first packet; lanes keep a copy.
 */
#ifndef FLOWLANE_OWN_TRAFFIC_H
#define FLOWLANE_OWN_TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct own_connection {
	uint8_t local_ip[16]; /* IPv4 as ::ffff:a.b.c.d */
	uint8_t remote_ip[16];
	uint16_t local_port; /* 0: any */
	uint16_t remote_port;
};

/* A lane's copy; zeroed at the start. */
struct own_view {
	uint32_t version; /* even; 0: there is none */
	struct own_connection connection;
};

/* One thread at a time. NULL: there is none any more. */
void own_traffic_set(const struct own_connection *connection);

extern uint32_t own_traffic_version; /* odd while it is being changed; relaxed loads */

/* Brings the copy up to date. True: there is a connection to leave out. Packet path. */
bool own_traffic_view(struct own_view *view);
bool own_traffic_refresh(struct own_view *view);

/* Is this Ethernet frame (VLAN tags or not) a TCP segment of the connection, in either direction? Packet path. */
bool own_traffic_match(const struct own_view *view, const uint8_t *data, uint32_t cap_len);

#endif
